"""The termination message: an agent's last state, small enough for the kubelet to keep.

The kubelet keeps the last 4096 bytes of `/dev/termination-log` (Kubernetes documentation,
"Customizing the termination message"). The file is bind mounted, so it can be neither renamed nor
replaced: the agent writes one record of a fixed size over the previous one, and every byte of the
file belongs to the newest record.

The record is JSON padded with blanks. The envelope has one-letter keys; the figures of a workload
keep their API names, so that a component of another version reads what it knows. Connections are
left out: a pod that can no longer be asked has none.
"""

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from podstream_core.agentapi import AgentPhase, AgentState, Failure, SessionRef
from podstream_core.api import Results, Timeline

RECORD_BYTES: Final = 4080
"""Size of every record: a little below the kubelet's 4096."""

_VERSION: Final = 1
_SIGNIFICANT_DIGITS: Final = 7
_CUT_MARK: Final = "…"
_SHORT_CHARS: Final = 24
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_TIMES: Final = tuple(Timeline.__struct_fields__)


class _Record(msgspec.Struct, frozen=True):
    """The envelope: version, pod UID, phase, assignment, session, failure, times, results."""

    v: int
    u: str
    p: AgentPhase
    a: str | None = None
    s: tuple[str, str, str] | None = None
    f: tuple[str, str] | None = None
    t: dict[str, int] = {}
    """Microseconds since 1970."""
    r: dict[str, Any] | None = None


def encode_termination(state: AgentState) -> bytes:
    """Pack a state into one record of exactly `RECORD_BYTES`.

    Floats are rounded to 7 significant digits. Where the record would be too long, messages among
    the figures become short, then lists among them (the first items of a batch) lose their last
    members, and then the failure's message is cut; never anything else.

    Raises:
        ValueError: the state is too large even without the failure's message.
    """
    body = _compact(state)
    record = _dump(body)
    if len(record) > RECORD_BYTES:
        body["r"] = _shortened(body.get("r"))
        record = _dump(body)
    lists = _lists(body.get("r"))
    while len(record) > RECORD_BYTES and any(lists):
        # Of equally long ones the last, so that the order of workloads decides.
        max(reversed(lists), key=len).pop()
        record = _dump(body)
    if len(record) > RECORD_BYTES and "f" in body:
        reason, message = body["f"]
        body["f"] = [reason, _cut(message, excess=len(record) - RECORD_BYTES)]
        record = _dump(body)
    if len(record) > RECORD_BYTES:
        raise ValueError(f"a state of {len(record)} bytes does not fit in {RECORD_BYTES}")
    return record.ljust(RECORD_BYTES)


def decode_termination(text: str) -> AgentState | None:
    """Read a record; `None` for anything that is not a whole record of a known version."""
    try:
        record = msgspec.json.decode(text, type=_Record)
        return _expand(record) if record.v == _VERSION else None
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError):
        return None


def _compact(state: AgentState) -> dict[str, Any]:
    body: dict[str, Any] = {"v": _VERSION, "u": state.pod_uid, "p": state.phase.value}
    if state.assignment_id is not None:
        body["a"] = state.assignment_id
    if state.session is not None:
        body["s"] = [state.session.namespace, state.session.name, state.session.uid]
    if state.failure is not None:
        body["f"] = [state.failure.reason, state.failure.message]
    times = {name: getattr(state.timeline, name) for name in _TIMES}
    body["t"] = {name: _to_micros(moment) for name, moment in times.items() if moment is not None}
    if state.results is not None:
        results = state.results.to_body()
        observed_at = state.results.observed_at
        if observed_at is not None:
            results["observedAt"] = _to_micros(observed_at)
        body["r"] = _rounded(results)
    return body


def _expand(record: _Record) -> AgentState:
    results = record.r
    if results is not None and "observedAt" in results:
        moment = _from_micros(msgspec.convert(results["observedAt"], int))
        results = {**results, "observedAt": moment}
    times = {name: _from_micros(value) for name, value in record.t.items() if name in _TIMES}
    return AgentState(
        pod_uid=record.u,
        phase=record.p,
        assignment_id=record.a,
        session=None
        if record.s is None
        else SessionRef(namespace=record.s[0], name=record.s[1], uid=record.s[2]),
        failure=None if record.f is None else Failure(reason=record.f[0], message=record.f[1]),
        timeline=Timeline(**times),
        results=None if results is None else Results.from_body(results),
    )


def _dump(body: Mapping[str, Any]) -> bytes:
    # Lone surrogates cannot be encoded; they may come from a workload's message.
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    return text.encode(errors="replace")


def _cut(message: str, *, excess: int) -> str:
    """Shorten a message so that its JSON form loses at least `excess` bytes."""
    excess += len(_CUT_MARK.encode())
    while message and excess > 0:
        excess -= len(_dump_text(message[-1]))
        message = message[:-1]
    return message + _CUT_MARK


def _dump_text(text: str) -> bytes:
    return json.dumps(text, ensure_ascii=False)[1:-1].encode(errors="replace")


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    if isinstance(value, float):
        # JSON knows no NaN or infinity.
        return float(f"{value:.{_SIGNIFICANT_DIGITS}g}") if math.isfinite(value) else None
    return value


def _shortened(value: Any) -> Any:
    """Figures whose messages are cut; status has had them whole with the live results."""
    if not isinstance(value, Mapping):
        return value
    return {
        key: item[:_SHORT_CHARS] + _CUT_MARK
        if key == "message" and isinstance(item, str) and len(item) > _SHORT_CHARS
        else _shortened(item)
        for key, item in value.items()
    }


def _lists(value: Any) -> list[list[Any]]:
    """Every list inside figures."""
    if isinstance(value, Mapping):
        return [found for item in value.values() for found in _lists(item)]
    return [value] if isinstance(value, list) else []


def _to_micros(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def _from_micros(value: int) -> datetime:
    return _EPOCH + value * _MICROSECOND
