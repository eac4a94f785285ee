"""Reaches for idle pods: the pod is the lock, and accepts the first assignment only."""

import asyncio
import logging
from dataclasses import dataclass
from typing import Final

from podstream_core.agentapi import SessionRef
from podstream_core.api import SessionKey
from podstream_router.agent import AgentClient, Assigned, KeysUnknown, Lost
from podstream_router.claims.claim import session_spec
from podstream_router.claims.marks import Marks
from podstream_router.claims.release import Releases
from podstream_router.errors import Refusal, TryAgain
from podstream_router.logfields import about
from podstream_router.metrics import RouterMetrics
from podstream_router.routes import PodRoute, PoolRoute, SessionRoute

logger = logging.getLogger(__name__)

UNREACHABLE_S: Final = 5.0
"""A pod that did not answer is tried again after this time, if it still looks idle."""
STARTING_S: Final = 0.2
"""The same for a pod that is not ready: its agent is about to come up."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What a pod is asked to be."""

    session: SessionKey
    assignment_id: str


class Assigner:
    """Assigns pods, and ends those whose connection has left meanwhile."""

    def __init__(
        self, *, agent: AgentClient, marks: Marks, releases: Releases, metrics: RouterMetrics
    ) -> None:
        self._agent = agent
        self._marks = marks
        self._releases = releases
        self._metrics = metrics
        self._abandoned: set[asyncio.Task[None]] = set()
        self._unanswered: dict[str, Identity] = {}

    def identity_for(self, pod: PodRoute) -> "Identity | None":
        """What a pod was last asked to be, where it did not answer.

        It may have become that: the same assignment again has the same answer, another one would
        be refused.
        """
        return self._unanswered.get(pod.uid)

    def forget(self, pod: PodRoute) -> None:
        """The pod is gone."""
        self._unanswered.pop(pod.uid, None)

    async def assign(self, pool: PoolRoute, *, pod: PodRoute, session: SessionRoute) -> bool:
        """Reach for a pod, which is marked already; whether it is ours.

        Raises:
            PodFailed: the pod cannot serve the pool's sessions.
        """
        extra = about(session.key, pod=pod, pool=pool.key.name)
        ref = SessionRef(namespace=session.key.namespace, name=session.key.name, uid=session.uid)
        spec = session_spec(pool)
        call = asyncio.create_task(
            self._agent.assign(pod, assignment_id=session.uid, session=ref, spec=spec)
        )
        try:
            outcome = await asyncio.shield(call)
        except asyncio.CancelledError:
            self._settle_later(call, pod, session)
            raise
        except (TryAgain, KeysUnknown) as error:
            self._note_unanswered(pod, session)
            if pod.ready:
                self._metrics.claims.labels("unreachable").inc()
                logger.warning("idle pod not reached", extra={**extra, "cause": str(error)})
            return False
        except Refusal as error:
            self.forget(pod)
            self._marks.forget(pod.uid)
            logger.error("idle pod refuses the template", extra={**extra, "cause": str(error)})
            raise
        self.forget(pod)
        if isinstance(outcome, Lost):
            self._metrics.claims.labels("lost").inc()
            logger.info("idle pod lost", extra={**extra, "cause": outcome.message})
            return False
        self._metrics.claims.labels("won").inc()
        logger.info("idle pod assigned", extra=extra)
        return True

    async def close(self) -> None:
        """Wait for assignments whose connection has left."""
        await asyncio.gather(*self._abandoned, return_exceptions=True)

    def _note_unanswered(self, pod: PodRoute, session: SessionRoute) -> None:
        self._marks.rest(pod.uid, for_s=UNREACHABLE_S if pod.ready else STARTING_S)
        self._unanswered[pod.uid] = Identity(session.key, session.uid)

    def _settle_later(
        self, call: "asyncio.Task[Assigned | Lost]", pod: PodRoute, session: SessionRoute
    ) -> None:
        task = asyncio.create_task(self._settle(call, pod, session))
        self._abandoned.add(task)
        task.add_done_callback(self._abandoned.discard)

    async def _settle(
        self, call: "asyncio.Task[Assigned | Lost]", pod: PodRoute, session: SessionRoute
    ) -> None:
        """The connection left while its pod was being assigned: end the pod if it was."""
        try:
            outcome = await call
        except (TryAgain, Refusal):
            self._note_unanswered(pod, session)
            return
        self.forget(pod)
        if isinstance(outcome, Assigned):
            message = "the client left while its pod was being assigned"
            self._releases.start(pod, session=session, reason="Abandoned", message=message)
