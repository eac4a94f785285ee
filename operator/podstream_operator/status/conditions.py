"""The conditions list: always complete, and a time that moves with `status` only."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, TypedDict

from podstream_core.api import Condition, ConditionType, PoolCondition, SessionStatus


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
    """All four conditions, in a fixed order."""
    before = {item.type: item for item in previous}
    verdicts = {
        ConditionType.READY: ready,
        ConditionType.POD_READY: pod_ready,
        ConditionType.CONNECTED: connected,
        ConditionType.COMPLETED: completed,
    }
    return [
        Condition(
            type=kind, **facts(verdict, before=before.get(kind), generation=generation, now=now)
        )
        for kind, verdict in verdicts.items()
    ]


class Facts(TypedDict):
    """The fields of a condition other than its type."""

    status: str
    reason: str
    message: str
    last_transition_time: datetime
    observed_generation: int


def facts(
    verdict: Verdict, *, before: Condition | PoolCondition | None, generation: int, now: datetime
) -> Facts:
    """What a verdict makes of the condition that was there before.

    `lastTransitionTime` has whole seconds, as in every Kubernetes condition, and stays where
    `status` stays.
    """
    text = "True" if verdict.status else "False"
    since = now.replace(microsecond=0)
    if before is not None and before.status == text and before.last_transition_time is not None:
        since = before.last_transition_time
    return Facts(
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
