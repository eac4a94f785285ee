"""Brings connections that arrive for a pool to pods of their own.

The pod is the lock: it accepts the first assignment and refuses every other, so this router, its
replicas and the operator can all reach for one pod, and exactly one gets it, without a write to
the API server. Who loses takes the next pod.
"""

import asyncio
import itertools
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from podstream_core.tokens import CLIENT_AUDIENCE, SigningKey, TokenType
from podstream_router.agent import AgentClient
from podstream_router.claims.assigner import STARTING_S, Assigner, Identity
from podstream_router.claims.claim import Claim, new_session_key, provisional_session
from podstream_router.claims.demand import Demand
from podstream_router.claims.limits import Limits
from podstream_router.claims.marks import Marks
from podstream_router.claims.queues import Queues
from podstream_router.claims.recorder import Recorder
from podstream_router.claims.release import Releases
from podstream_router.claims.ticket import Ticket
from podstream_router.errors import Busy
from podstream_router.metrics import RouterMetrics
from podstream_router.routes import PodRoute, PoolRoute, RouteTable


class Claims:
    """Draws tickets and turns them into claims."""

    def __init__(
        self,
        *,
        routes: RouteTable,
        agent: AgentClient,
        recorder: Recorder,
        releases: Releases,
        demand: Demand,
        signer: SigningKey,
        sessions_per_namespace: int,
        router: str,
        metrics: RouterMetrics,
    ) -> None:
        """Prepare.

        Args:
            routes: what the watches see.
            agent: speaks to pods.
            recorder: makes the sessions.
            releases: ends pods that were assigned in vain.
            demand: tells the operator who waits.
            signer: signs the client tokens of the sessions.
            sessions_per_namespace: living sessions of a namespace; 0: no limit.
            router: this replica's name.
            metrics: counts claims.
        """
        self._routes = routes
        self._recorder = recorder
        self._releases = releases
        self._signer = signer
        self._metrics = metrics
        self._loop = asyncio.get_running_loop()
        self._marks = Marks(clock=self._loop.time)
        self._limits = Limits(routes=routes, sessions_per_namespace=sessions_per_namespace)
        self._assigner = Assigner(
            agent=agent, marks=self._marks, releases=releases, metrics=metrics
        )
        self._queues = Queues(
            routes=routes, marks=self._marks, demand=demand, router=router, metrics=metrics
        )
        self._numbers = itertools.count()

    @contextmanager
    def ticket(self, *, source: str) -> Iterator[Ticket]:
        """A connection's ticket; a pod that it has and has not kept at the end is ended."""
        ticket = Ticket(self, number=next(self._numbers), source=source, now=self._loop.time())
        try:
            yield ticket
        finally:
            ticket.close()

    def forget_pod(self, pod: PodRoute) -> None:
        """The pod is gone."""
        self._marks.forget(pod.uid)
        self._assigner.forget(pod)

    async def close(self) -> None:
        """Wait for assignments whose connection has left."""
        await self._assigner.close()

    # -- what tickets call -----------------------------------------------------------------------

    def enqueue(self, ticket: Ticket, pool: PoolRoute) -> None:
        """Let a ticket wait for a pod of this pool, at its own place in the order of arrival.

        Raises:
            Refusal: the pool takes no session of this ticket.
        """
        try:
            self._limits.add(ticket, pool)
        except Busy:
            self._metrics.claims.labels("busy").inc()
            raise
        self._recorder.check_room()
        self._queues.add(ticket, pool)

    def leave(self, ticket: Ticket) -> None:
        """The ticket waits no longer."""
        self._queues.discard(ticket)
        self._limits.discard(ticket)

    def give_back(self, pod: PodRoute) -> None:
        """A pod was granted in vain."""
        self._marks.forget(pod.uid)
        if pod.pool_key is not None:
            self._queues.look_soon(pod.pool_key)

    async def assign(self, ticket: Ticket, pool: PoolRoute, pod: PodRoute) -> Claim | None:
        """Assign a pod that was granted to a ticket; `None` where somebody else has it.

        Raises:
            PodFailed: the pods of this pool cannot serve its sessions.
        """
        if pod.pool_key != pool.key:  # the listener leads to another pool by now
            self.give_back(pod)
            return None
        identity = self._assigner.identity_for(pod) or self._new_identity(pool)
        session = provisional_session(
            pool,
            key=identity.session,
            pod=pod,
            assignment_id=identity.assignment_id,
            arrived=ticket.arrived,
            source=ticket.source,
        )
        if not await self._assigner.assign(pool, pod=pod, session=session):
            if not pod.ready:
                self._loop.call_later(STARTING_S, self._queues.look_soon, pool.key)
            return None
        self._routes.add_provisional(session)
        self._limits.discard(ticket)
        waited_s = self._loop.time() - ticket.since
        self._metrics.claim_seconds.labels(ticket.origin.value).observe(waited_s)
        token = self._signer.sign(
            TokenType.CLIENT,
            audience=CLIENT_AUDIENCE,
            subject=session.uid,
            lifetime_s=pool.deadline_s,
        )
        return Claim(
            pool=pool,
            pod=pod,
            session=session,
            token=token,
            arrived=ticket.arrived,
            origin=ticket.origin,
        )

    def is_alive(self, claim: Claim) -> bool:
        """Whether the pod still runs."""
        return self._routes.pod(claim.pod.uid) is not None

    def release(self, claim: Claim, *, reason: str, message: str) -> None:
        """End a pod that no client has used."""
        self._routes.remove_provisional(claim.session.key)
        self._releases.start(claim.pod, session=claim.session, reason=reason, message=message)

    def keep(self, claim: Claim) -> None:
        """The pod has its client: make the session."""
        self._recorder.record(claim)

    def _new_identity(self, pool: PoolRoute) -> Identity:
        key = new_session_key(pool, is_taken=lambda key: self._routes.session(key) is not None)
        return Identity(key, str(uuid.uuid4()))
