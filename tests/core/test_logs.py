import json
import logging

import pytest

from podstream_core.logs import JsonFormatter, TextFormatter, setup_logging


def _record() -> logging.LogRecord:
    record = logging.makeLogRecord({"msg": "session %s", "args": ("ready",), "levelno": 20})
    record.levelname = "INFO"
    record.session = "default/ball"
    return record


def test_json_lines_carry_the_extras() -> None:
    entry = json.loads(JsonFormatter("operator").format(_record()))
    assert entry["message"] == "session ready"
    assert entry["session"] == "default/ball"
    assert entry["component"] == "operator"


def test_text_lines_carry_the_extras() -> None:
    assert TextFormatter().format(_record()).endswith("INFO    session ready session=default/ball")


@pytest.mark.parametrize(
    ("level", "fmt", "reason"), [("loud", "json", "level"), ("info", "xml", "format")]
)
def test_bad_settings_are_named(level: str, fmt: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        setup_logging(level=level, fmt=fmt, component="x")  # type: ignore[arg-type]
