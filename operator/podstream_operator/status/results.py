"""Which results go into status, and when."""

from datetime import datetime, timedelta

import msgspec

from podstream_core.agentapi import AgentState
from podstream_core.api import Results


def live_results(
    previous: Results | None,
    *,
    state: AgentState | None,
    interval_s: int,
    transition: bool,
    connected_since: datetime | None,
    now: datetime,
) -> Results | None:
    """Results to show while the session runs.

    New figures are written with a transition, which costs a write anyway, and otherwise at most
    once per interval and only when they differ; the first interval begins with the connection, so
    that a short session costs no extra write. An interval of 0 switches live results off.
    """
    if interval_s == 0 or state is None or state.results is None:
        return previous
    current = msgspec.structs.replace(
        state.results, final=False, observed_at=state.results.observed_at or now
    )
    if previous is not None and _figures(previous) == _figures(current):
        return previous
    written_at = previous.observed_at if previous is not None else connected_since
    if transition or written_at is None:
        return current
    due = written_at + timedelta(seconds=interval_s)
    return current if now >= due else previous


def last_results(
    previous: Results | None, *, state: AgentState | None, now: datetime
) -> Results | None:
    """Results to keep when the session has ended.

    Final only where the agent said so; a pod that was lost leaves its last figures, marked
    `final: false`.
    """
    if state is not None and state.results is not None:
        final = state.results.final and state.phase.is_terminal
        return msgspec.structs.replace(
            state.results, final=final, observed_at=state.results.observed_at or now
        )
    if previous is None:
        return None
    return msgspec.structs.replace(previous, final=False)


def _figures(results: Results) -> Results:
    return msgspec.structs.replace(results, observed_at=None)
