"""Structured logs: one JSON object a line, or readable text for a terminal.

Every line about a session carries `namespace` and `session`, and `pod` where it is known. What
works for one session at a time says so once, with `log_fields` (a task) or `set_process_log_fields`
(a process), and all lines of that task or process have it, those of libraries too. A line's own
`extra` wins.
"""

import json
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final, Literal

LogFormat = Literal["json", "text"]

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


_process_fields: dict[str, Any] = {}
_task_fields: ContextVar[dict[str, Any] | None] = ContextVar("podstream_log_fields", default=None)


def set_process_log_fields(**fields: Any) -> None:
    """Give all lines of this process these fields from now on; `None` takes one away."""
    _process_fields.update(fields)


@contextmanager
def log_fields(**fields: Any) -> Iterator[None]:
    """Give all lines of this task these fields, and those of tasks that it starts meanwhile."""
    token = _task_fields.set({**(_task_fields.get() or {}), **fields})
    try:
        yield
    finally:
        _task_fields.reset(token)


def add_log_fields(**fields: Any) -> None:
    """Add to the innermost `log_fields` what has become known; nothing happens outside of one."""
    known = _task_fields.get()
    if known is not None:
        known.update(fields)


def _extras(record: logging.LogRecord) -> Mapping[str, Any]:
    own = {key: value for key, value in vars(record).items() if key not in _STANDARD}
    fields = {**_process_fields, **(_task_fields.get() or {}), **own}
    return {key: value for key, value in fields.items() if value is not None}


class JsonFormatter(logging.Formatter):
    """One JSON object a line: ts, level, logger, component, message and the record's extras."""

    def __init__(self, component: str) -> None:
        super().__init__()
        self._component = component

    def format(self, record: logging.LogRecord) -> str:
        """Render a record."""
        entry: dict[str, Any] = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds"),
            "level": record.levelname,
            "logger": record.name,
            "component": self._component,
            "message": record.getMessage(),
            **_extras(record),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """Time, level, message, then the extras as key=value."""

    def format(self, record: logging.LogRecord) -> str:
        """Render a record."""
        time = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S.%f")[:-3]
        extras = "".join(f" {key}={value}" for key, value in _extras(record).items())
        line = f"{time} {record.levelname:<7} {record.getMessage()}{extras}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


def setup_logging(*, level: str, fmt: LogFormat, component: str) -> None:
    """Send all logs of the process to standard error in one format.

    Raises:
        ValueError: the level or format is not known.
    """
    if fmt not in ("json", "text"):
        raise ValueError(f"log format must be json or text, not {fmt!r}")
    names = logging.getLevelNamesMapping()
    if level.upper() not in names:
        raise ValueError(f"log level must be one of {', '.join(sorted(names))}, not {level!r}")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(component) if fmt == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(names[level.upper()])
