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

RECORD_BYTES: Final = 3500
"""Size of every record: below the kubelet's 4096 with room for one more workload's figures."""

_VERSION: Final = 1
_SIGNIFICANT_DIGITS: Final = 7
_CUT_MARK: Final = "…"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_TIMES: Final = tuple(Timeline.__struct_fields__)


def encode_termination(state: AgentState) -> bytes:
    """Pack a state into one record of exactly `RECORD_BYTES`.

    Floats are rounded to 7 significant digits. The failure's message is cut where the record would
    be too long, never anything else.

    Raises:
        ValueError: the state is too large even without the failure's message.
    """
    body = _compact(state)
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
        body = json.loads(text)
        if not isinstance(body, dict) or body.get("v") != _VERSION:
            return None
        return _expand(body)
    except (
        ValueError,
        TypeError,
        KeyError,
        OverflowError,
        RecursionError,
        msgspec.ValidationError,
    ):
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


def _expand(body: Mapping[str, Any]) -> AgentState:
    session = body.get("s")
    failure = body.get("f")
    results = body.get("r")
    if results is not None and results.get("observedAt") is not None:
        results = {**results, "observedAt": _from_micros(results["observedAt"])}
    return AgentState(
        pod_uid=msgspec.convert(body["u"], str),
        phase=AgentPhase(body["p"]),
        assignment_id=msgspec.convert(body.get("a"), str | None),
        session=None if session is None else _session(session),
        failure=None if failure is None else _failure(failure),
        timeline=Timeline(
            **{name: _from_micros(value) for name, value in body["t"].items() if name in _TIMES}
        ),
        results=None if results is None else Results.from_body(results),
    )


def _session(items: list[Any]) -> SessionRef:
    namespace, name, uid = msgspec.convert(items, tuple[str, str, str])
    return SessionRef(namespace=namespace, name=name, uid=uid)


def _failure(items: list[Any]) -> Failure:
    reason, message = msgspec.convert(items, tuple[str, str])
    return Failure(reason=reason, message=message)


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


def _to_micros(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def _from_micros(value: Any) -> datetime:
    return _EPOCH + msgspec.convert(value, int) * _MICROSECOND
