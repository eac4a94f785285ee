"""When a session passed each step: the operator's own moments and those of the agent."""

from datetime import datetime, timedelta
from typing import Final

from podstream_core import names
from podstream_core.api import SessionStatus, StreamSession, Timeline
from podstream_core.assignment import AssignedPod
from podstream_core.tokens import LEEWAY_S
from podstream_operator.facts import Memory

_LEEWAY: Final = timedelta(seconds=LEEWAY_S)
_RECORDED_WITHIN: Final = timedelta(seconds=180)
"""After the connection came: routers try for 120 s to create its session."""
_FRESH: Final = timedelta(seconds=2)
"""A first event within this of the creation is the creation, seen with microseconds."""


def applied_at(session: StreamSession, *, status: SessionStatus, memory: Memory) -> datetime:
    """When the session was applied.

    `creationTimestamp` has whole seconds; where the operator saw the session appear, the moment
    of its first event is nearer to the truth. Once written to status it does not move.
    """
    if status.timeline.applied_at is not None:
        return status.timeline.applied_at
    arrived = _arrived_at(session)
    if arrived is not None:
        return arrived
    created = session.metadata.creation_timestamp
    if created is None or created <= memory.first_seen_at < created + _FRESH:
        return memory.first_seen_at
    return created


def _arrived_at(session: StreamSession) -> datetime | None:
    """When the connection came that made the session, where one did."""
    annotations = session.metadata.annotations
    if AssignedPod.of(annotations) is None:
        return None
    try:
        arrived = datetime.fromisoformat(annotations.get(names.ANNOTATION_ARRIVED_AT, ""))
    except ValueError:
        return None
    created = session.metadata.creation_timestamp
    if arrived.tzinfo is None or created is None:
        return None
    # The router's clock, or a hand: the session's deadline is counted from here.
    is_likely = created - _RECORDED_WITHIN <= arrived <= created + _LEEWAY
    return arrived if is_likely else None


def ended_at(told: datetime | None, *, previous: SessionStatus, now: datetime) -> datetime:
    """When the session ended: what the agent says, where its clock can be right.

    The time to live begins here. A node whose clock was set back would have its sessions, and
    their results, deleted as soon as they end; one that was set forward would keep them.

    Args:
        told: by the agent.
        previous: has moments by the operator's clock, which the end cannot precede.
        now: which it cannot follow.
    """
    known = [item.last_transition_time for item in previous.conditions]
    since = max((moment for moment in known if moment is not None), default=None)
    if told is None or told > now + _LEEWAY or (since is not None and told < since - _LEEWAY):
        return now
    return told


def merge_timeline(
    previous: Timeline,
    *,
    applied: datetime,
    contact: datetime | None,
    agent: Timeline | None,
    completed: datetime | None = None,
) -> Timeline:
    """The session's timeline: what the agent tells wins over what was written before.

    Args:
        previous: as written before; of the same pod.
        applied: when the session was applied.
        contact: when the agent first answered.
        agent: the agent's part, where it is known.
        completed: the end of the session, where it has ended.
    """
    own = agent or Timeline()
    return Timeline(
        applied_at=applied,
        assigned_at=own.assigned_at or previous.assigned_at,
        pod_ready_at=previous.pod_ready_at or contact,
        ready_at=own.ready_at or previous.ready_at,
        connected_at=own.connected_at or previous.connected_at,
        first_frame_at=own.first_frame_at or previous.first_frame_at,
        completed_at=completed or previous.completed_at,
    )
