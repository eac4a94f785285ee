"""Whether a session has ended, read from its status: it stays true when its pod is long gone."""

from dataclasses import dataclass
from datetime import datetime

from podstream_core.api import ConditionType, SessionStatus
from podstream_operator.status.conditions import is_true


@dataclass(frozen=True, slots=True)
class Ending:
    """How and when a session ended."""

    completed: bool
    """Completed, else Failed."""
    reason: str
    at: datetime | None
    """`None` only where somebody removed the time by hand."""


def ending_of(status: SessionStatus) -> Ending | None:
    """The session's end, where it has one. Does not look at `phase`: that one is for people."""
    completed = status.condition(ConditionType.COMPLETED)
    if completed is None:
        return None
    at = status.timeline.completed_at or completed.last_transition_time
    if is_true(status, ConditionType.COMPLETED):
        return Ending(completed=True, reason=completed.reason, at=at)
    if status.reason is not None:
        return Ending(completed=False, reason=status.reason, at=at)
    return None
