"""What a process writes to its log, as the JSON lines that a log store gets."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from podstream_core.logs import JsonFormatter

Line = dict[str, Any]


class _Keep(logging.Handler):
    def __init__(self, lines: list[Line]) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter("test"))
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(json.loads(self.format(record)))


@contextmanager
def log_lines(package: str) -> Iterator[list[Line]]:
    """Everything that a package logs meanwhile, DEBUG included."""
    lines: list[Line] = []
    handler = _Keep(lines)
    logger = logging.getLogger(package)
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        yield lines
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


def messages(lines: list[Line]) -> list[str]:
    """What the lines say."""
    return [line["message"] for line in lines]
