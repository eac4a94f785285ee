import asyncio
import json
import logging

import pytest

from podstream_core.logs import (
    JsonFormatter,
    TextFormatter,
    add_log_fields,
    log_fields,
    set_process_log_fields,
    setup_logging,
)


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


def _line(formatter: JsonFormatter) -> dict[str, object]:
    found: dict[str, object] = json.loads(formatter.format(logging.makeLogRecord({"msg": "x"})))
    return {key: found[key] for key in found.keys() & {"namespace", "session", "pod"}}


def test_fields_of_a_task_are_on_all_its_lines() -> None:
    formatter = JsonFormatter("operator")
    with log_fields(namespace="default", session="ball"):
        assert _line(formatter) == {"namespace": "default", "session": "ball"}
        with log_fields(session="other"):
            add_log_fields(pod="other-1")
            assert _line(formatter) == {
                "namespace": "default",
                "session": "other",
                "pod": "other-1",
            }
        assert _line(formatter) == {"namespace": "default", "session": "ball"}
    add_log_fields(pod="nobody's")
    assert _line(formatter) == {}


async def test_tasks_do_not_share_fields() -> None:
    formatter = JsonFormatter("router")

    async def work(name: str) -> dict[str, object]:
        with log_fields(session=name):
            await asyncio.sleep(0)
            return _line(formatter)

    first, second = await asyncio.gather(work("a"), work("b"))
    assert (first, second) == ({"session": "a"}, {"session": "b"})


def test_fields_of_a_process_are_on_all_its_lines() -> None:
    formatter = JsonFormatter("agent")
    set_process_log_fields(pod="ball-1", session="ball")
    try:
        assert _line(formatter) == {"pod": "ball-1", "session": "ball"}
        with log_fields(session="a line's own wins"):
            assert _line(formatter)["session"] == "a line's own wins"
    finally:
        set_process_log_fields(pod=None, session=None)
    assert _line(formatter) == {}
