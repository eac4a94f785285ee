"""Do two statuses of a session say the same, but for the moments at which it was found?

A status that was edited by hand is repaired from memory. Another operator that believes to lead
writes what we would write, with moments of its own: repairing those would go on for ever, from
both sides.
"""

from typing import Any

import msgspec

from podstream_core.api import PoolStatus, Results, SessionStatus, Timeline
from podstream_operator.status.ending import ending_of


def agrees(stored: SessionStatus, own: SessionStatus) -> bool:
    """Whether the stored status can stand for the one that this process has written.

    Live figures are moments, too: whoever asked the agent last has the latest. Those of a session
    that has ended are its record.
    """
    return _essence(stored) == _essence(own)


def pools_agree(stored: PoolStatus, own: PoolStatus) -> bool:
    """Whether the conditions are the same, so that their times can be taken over."""
    return _conditions(stored.conditions) == _conditions(own.conditions)


def _essence(status: SessionStatus) -> tuple[Any, ...]:
    ended = ending_of(status) is not None
    plain = msgspec.structs.replace(status, timeline=Timeline(), conditions=[], results=None)
    return (
        plain,
        [moment is not None for moment in msgspec.structs.astuple(status.timeline)],
        _conditions(status.conditions),
        _figures(status.results) if ended else None,
    )


def _conditions(conditions: list[Any]) -> list[tuple[Any, ...]]:
    return [
        (item.type, item.status, item.reason, item.last_transition_time is not None)
        for item in conditions
    ]


def _figures(results: Results | None) -> Results | None:
    return None if results is None else msgspec.structs.replace(results, observed_at=None)
