"""The conditions list: always complete, and a time that moves with `status` only."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from podstream_core.api import Condition, ConditionType, SessionStatus


class Verdict(NamedTuple):
    """What a condition says now."""

    status: bool
    reason: str
    message: str = ""


def build_conditions(
    previous: Sequence[Condition],
    *,
    ready: Verdict,
    pod_ready: Verdict,
    connected: Verdict,
    completed: Verdict,
    generation: int,
    now: datetime,
) -> list[Condition]:
    """All four conditions, in a fixed order.

    `lastTransitionTime` has whole seconds, as in every Kubernetes condition, and stays where
    `status` stays.
    """
    before = {item.type: item for item in previous}
    verdicts = {
        ConditionType.READY: ready,
        ConditionType.POD_READY: pod_ready,
        ConditionType.CONNECTED: connected,
        ConditionType.COMPLETED: completed,
    }
    return [
        _condition(kind, verdict, before=before.get(kind), generation=generation, now=now)
        for kind, verdict in verdicts.items()
    ]


def _condition(
    kind: ConditionType,
    verdict: Verdict,
    *,
    before: Condition | None,
    generation: int,
    now: datetime,
) -> Condition:
    text = "True" if verdict.status else "False"
    since = now.replace(microsecond=0)
    if before is not None and before.status == text and before.last_transition_time is not None:
        since = before.last_transition_time
    return Condition(
        type=kind,
        status=text,
        reason=verdict.reason,
        message=verdict.message,
        last_transition_time=since,
        observed_generation=generation,
    )


def is_true(status: SessionStatus, kind: ConditionType) -> bool:
    """Whether a condition is set and True."""
    condition = status.condition(kind)
    return condition is not None and condition.status == "True"
