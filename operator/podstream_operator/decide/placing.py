"""How does a session without a pod get one: its connection's, a warm one, or a new one?"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from podstream_core.api import StreamSession
from podstream_core.assignment import AssignedPod
from podstream_operator.decide.dialling import dial_delay_s
from podstream_operator.decide.plan import Action, AdoptPod, CreatePod, TakeWarm
from podstream_operator.decide.startup import Problem
from podstream_operator.facts import AgentUnreachable, Observed

REJECTION_RETRY_S: Final = 5.0
"""A quota that was full may have room again."""
WATCH_LAG: Final = timedelta(seconds=5)
"""A session may be seen before the pod that its connection was given."""
SOON_S: Final = 0.1
MAX_CANDIDATES: Final = 4
"""Warm pods tried in one go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placing:
    """What to do for a session that has no pod."""

    actions: tuple[Action, ...] = ()
    problem: Problem | None = None
    """Why there is nothing to do but to wait, where a user should know."""
    failure: Problem | None = None
    """Why the session cannot run at all."""
    wait_s: float = REJECTION_RETRY_S
    """When to look again without an event."""


def place(session: StreamSession, *, observed: Observed, restarts: int, now: datetime) -> Placing:
    """Decide where the session's pod comes from.

    Args:
        session: has no pod, or none after so many replacements.
        observed: with what the pools offer.
        restarts: replacements used; only the first pod can be the one of a connection.
        now: for waits that end.
    """
    offer, memory = observed.offer, observed.memory
    if memory.claim_refusal is not None:
        return Placing(failure=Problem("AssignmentNotConfirmed", memory.claim_refusal))
    if memory.spec_refusal is not None:
        return Placing(failure=Problem("SpecRejected", memory.spec_refusal))
    if offer.claimed is not None:
        if (
            observed.agent_pod_uid == offer.claimed.uid
            and isinstance(observed.agent, AgentUnreachable)
        ) or not (offer.claimed.ip or offer.claimed.is_finished):
            return Placing(wait_s=dial_delay_s(memory.pod.dials))
        return Placing(actions=(AdoptPod(offer.claimed, restarts),))
    assigned = AssignedPod.of(session.metadata.annotations)
    if assigned is not None and restarts == 0:
        if now - memory.first_seen_at < WATCH_LAG:
            return Placing(wait_s=SOON_S)
        message = f"pod {assigned.pod_name}, which the connection was given, is gone"
        return Placing(failure=Problem("PodLost", message))
    if offer.over_quota is not None:
        return Placing(failure=Problem("QuotaExceeded", offer.over_quota))
    return _from_pools(session, observed=observed, restarts=restarts, now=now)


def _from_pools(
    session: StreamSession, *, observed: Observed, restarts: int, now: datetime
) -> Placing:
    offer, memory = observed.offer, observed.memory
    reference = session.spec.pool_ref
    pool = reference.name if reference else ""
    if not offer.pool_exists:
        text = f"there is no StreamPool {pool} in namespace {session.metadata.namespace}"
        return Placing(problem=Problem("PoolNotFound", f"{text}: apply it, or remove spec.poolRef"))
    if not offer.fits:
        text = (
            f"the template of StreamPool {pool} leads to another pod than this session: make "
            "spec.pod equal to the template's, or remove spec.poolRef"
        )
        return Placing(failure=Problem("PoolTemplateMismatch", text))
    if offer.idle:
        return Placing(actions=(TakeWarm(offer.idle[:MAX_CANDIDATES], restarts),))
    if offer.unsure:
        return Placing(wait_s=SOON_S)
    if not offer.has_room:
        text = f"StreamPool {pool} has all the pods that spec.max allows: raise it, or wait for one"
        return Placing(problem=Problem("PoolExhausted", text))
    rejection = memory.pod_rejection
    if rejection is not None and (now - rejection.at).total_seconds() < REJECTION_RETRY_S:
        return Placing(problem=Problem(rejection.reason, rejection.message))
    return Placing(actions=(CreatePod(restarts),))
