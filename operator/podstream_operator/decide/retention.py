"""What remains to be done for a session that has ended?"""

from datetime import datetime, timedelta
from typing import Final

import msgspec

from podstream_core import names
from podstream_core.api import SessionStatus, StreamSession
from podstream_operator.decide.plan import DeletePod, DeleteSession, Plan
from podstream_operator.facts import Observed, PodFacts
from podstream_operator.status import Ending

STOPPED_BY_OPERATOR: Final = frozenset({"StartupTimeout", "IdleTimeout", "DeadlineExceeded"})
"""Ends that the operator decided: such a pod does not go by itself, or has nothing to serve."""
LINGER_MARGIN: Final = timedelta(seconds=60)
"""A pod that still runs so long after its linger time does not go by itself."""
CLIENT_MARGIN: Final = timedelta(seconds=30)
"""Within this a client has noticed that its session is over."""


def decide_retention(
    session: StreamSession,
    *,
    previous: SessionStatus,
    ending: Ending,
    observed: Observed,
    now: datetime,
) -> Plan:
    """Keep the record, remove what still runs, and the session itself after its time to live."""
    if ending.at is None:
        return Plan(status=previous)
    expiry = ending.at + timedelta(seconds=session.spec.ttl_seconds_after_finished)
    if now >= expiry:
        return Plan(actions=(DeleteSession(),))
    due = [expiry]
    doomed = []
    for pod in observed.pods:
        if not pod.exists:
            continue
        at = _removal_time(session, pod=pod, ending=ending)
        if at is None:
            continue
        if now >= at:
            doomed.append(DeletePod(pod))
        else:
            due.append(at)
    if doomed:
        return Plan(actions=tuple(doomed))
    kept = msgspec.structs.replace(previous, observed_generation=session.metadata.generation)
    return Plan(status=kept, requeue_after_s=(min(due) - now).total_seconds())


def _removal_time(session: StreamSession, *, pod: PodFacts, ending: Ending) -> datetime | None:
    """When a pod has to go; `None` where it may stay until the session goes.

    A pod that has finished costs nothing but its entry, and keeps its logs.
    """
    assert ending.at is not None
    if ending.reason in STOPPED_BY_OPERATOR and not ending.completed:
        return None if pod.is_finished and pod.role == names.ROLE_CLIENT else ending.at
    if pod.is_finished:
        return None
    if pod.role == names.ROLE_CLIENT:
        return ending.at + CLIENT_MARGIN
    return ending.at + timedelta(seconds=session.spec.linger_seconds) + LINGER_MARGIN
