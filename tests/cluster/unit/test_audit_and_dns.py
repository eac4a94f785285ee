"""Counting requests out of an audit log, and one question to a DNS server."""

import json
import struct
from pathlib import Path
from typing import Any

from testcluster import audit, dnsprobe


def event(user: str, verb: str, **target: str) -> dict[str, Any]:
    return {
        "user": {"username": user},
        "verb": verb,
        "objectRef": {"resource": "pods", **target},
        "responseStatus": {"code": 200},
    }


def write(path: Path, *events: dict[str, Any]) -> None:
    with path.open("a") as file:
        file.writelines(f"{json.dumps(each)}\n" for each in events)


def test_writes_are_counted_by_user_from_a_mark(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    write(log, event("me", "create"))
    mark = audit.end_of(log)
    write(log, event("me", "patch"), event("me", "get"), event("you", "delete"))
    assert audit.writes_by_user(audit.read(log, since=mark)) == {"me": 1, "you": 1}


def test_impersonated_user_is_who_acts() -> None:
    line = {**event("admin", "create"), "impersonatedUser": {"username": "me"}}
    assert audit.parse(json.dumps(line)).user == "me"


def test_request_without_object_is_read() -> None:
    request = audit.parse(json.dumps({"user": {"username": "me"}, "verb": "get"}))
    assert (request.resource, request.code, request.is_write) == ("", 0, False)


def test_half_written_line_is_left_for_later(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    write(log, event("me", "create"))
    with log.open("a") as file:
        file.write('{"user": {"usern')
    assert len(list(audit.read(log))) == 1


def test_question_is_a_valid_packet() -> None:
    packet = dnsprobe.question("a.bc", query_id=7)
    assert packet == struct.pack("!6H", 7, 0x0100, 1, 0, 0, 0) + b"\1a\2bc\0\0\1\0\1"


def test_only_an_answer_to_the_question_counts() -> None:
    def reply(query_id: int, *, flags: int, answers: int) -> bytes:
        return struct.pack("!6H", query_id, flags, 1, answers, 0, 0)

    assert dnsprobe.is_answered(reply(7, flags=0x8180, answers=1), query_id=7)
    assert not dnsprobe.is_answered(reply(8, flags=0x8180, answers=1), query_id=7)
    assert not dnsprobe.is_answered(reply(7, flags=0x8183, answers=1), query_id=7)
    assert not dnsprobe.is_answered(reply(7, flags=0x8180, answers=0), query_id=7)
    assert not dnsprobe.is_answered(b"short", query_id=7)
