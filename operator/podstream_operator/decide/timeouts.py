"""Which of a session's clocks has run out, and when does the next one?"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from podstream_core.api import ConditionType, SessionStatus, StreamSession
from podstream_operator.facts import Memory, PodFacts
from podstream_operator.status import applied_at


@dataclass(frozen=True, slots=True)
class Expiry:
    """A clock that runs, or has run out."""

    at: datetime
    reason: str
    message: str


def next_expiry(
    session: StreamSession,
    *,
    previous: SessionStatus,
    memory: Memory,
    ready_since: datetime | None,
    connected: bool,
    pod: PodFacts | None,
) -> Expiry:
    """The clock that runs out first.

    All of them start at moments that are on record in status, and their lengths are read from
    the spec each time: a change takes effect at once, and a restart of the operator changes none.

    Args:
        session: the session.
        previous: its status.
        memory: what this process knows.
        ready_since: when a client could first connect to the current pod; `None` before.
        connected: whether a client is.
        pod: the current pod.
    """
    spec = session.spec
    applied = applied_at(session, status=previous, memory=memory)
    clocks = [
        Expiry(
            applied + timedelta(seconds=spec.active_deadline_seconds),
            "DeadlineExceeded",
            f"the session ran into activeDeadlineSeconds ({spec.active_deadline_seconds})",
        )
    ]
    if ready_since is None:
        started = _attempt_started(previous, applied=applied, pod=pod)
        clocks.append(
            Expiry(
                started + timedelta(seconds=spec.startup_timeout_seconds),
                "StartupTimeout",
                f"not ready within startupTimeoutSeconds ({spec.startup_timeout_seconds})",
            )
        )
    elif not connected and spec.needs_client:
        since = _idle_since(previous, ready_since=ready_since)
        if since is not None:
            clocks.append(
                Expiry(
                    since + timedelta(seconds=spec.idle_timeout_seconds),
                    "IdleTimeout",
                    f"no client within idleTimeoutSeconds ({spec.idle_timeout_seconds})",
                )
            )
    return min(clocks, key=lambda clock: clock.at)


def _attempt_started(
    previous: SessionStatus, *, applied: datetime, pod: PodFacts | None
) -> datetime:
    """When the current pod's time to start began: a replacement gets the full time again."""
    if previous.pod is None or previous.pod.restarts == 0:
        return applied
    if pod is not None and pod.created_at is not None:
        return pod.created_at
    ready = previous.condition(ConditionType.READY)
    return ready.last_transition_time or applied if ready else applied


def _idle_since(previous: SessionStatus, *, ready_since: datetime) -> datetime | None:
    """Ready, or when the last client went: idle time does not add up over connections.

    `None` where status still says that a client is connected: its going is about to be written,
    and with it the moment that counts.
    """
    connected = previous.condition(ConditionType.CONNECTED)
    if connected is None or connected.last_transition_time is None:
        return ready_since
    if connected.status == "True":
        return None
    return max(ready_since, connected.last_transition_time)
