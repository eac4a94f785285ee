"""Holds a connection until a pod takes it.

The connection may be earlier than the pod, and than the agent inside it. What it asks for leads
to a session, whose pod is tried with back-off, or to a pool, of which it gets a pod of its own.
Either way it waits for the routes to change, up to the hold timeout.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from podstream_core.agentapi import ConnectionGrant
from podstream_core.agentapi import Protocol as ClientProtocol
from podstream_core.logs import add_log_fields
from podstream_router.claims import Claim, Ticket
from podstream_router.errors import NotReady, SessionEnded, ShuttingDown, TryAgain
from podstream_router.logfields import about
from podstream_router.metrics import RouterMetrics
from podstream_router.protocols import workload_for
from podstream_router.routes import PodRoute, PoolRoute, RouteTable, SessionRoute, Topic

RETRY_FIRST_S: Final = 0.05
RETRY_LAST_S: Final = 0.8

_T = TypeVar("_T")


class Target(Protocol):
    """What a connection asks for."""

    @property
    def topic(self) -> Topic:
        """Changes that may help."""

    def find(self) -> SessionRoute | PoolRoute | None:
        """The session or pool as it stands; `None` while there is none.

        Raises:
            Refusal: waiting cannot help.
        """

    def pass_over(self, session: SessionRoute) -> bool:
        """The session is over, its pod says; whether another one may take its place."""


@dataclass(frozen=True, slots=True)
class Seat:
    """Where a connection goes."""

    session: SessionRoute
    pod: PodRoute
    claim: Claim | None = None
    """Set where the connection has just won the pod and no session exists yet."""

    def grant(
        self, protocol: ClientProtocol, *, holder: str, source: str, role: str = ""
    ) -> ConnectionGrant:
        """What the router vouches for to the pod.

        Args:
            protocol: how the client speaks.
            holder: who it is.
            source: its address.
            role: the slot that it takes; empty: the protocol's own.
        """
        workload, usual = workload_for(self.session, protocol=protocol)
        return ConnectionGrant(
            session_uid=self.session.assignment_id(self.pod.uid),
            workload=workload,
            role=role or usual,
            protocol=protocol,
            holder=holder,
            client_address=source,
        )


class Placement:
    """Takes connections to pods."""

    def __init__(
        self, routes: RouteTable, *, hold_timeout_s: float, metrics: RouterMetrics
    ) -> None:
        self._routes = routes
        self._hold_timeout_s = hold_timeout_s
        self._metrics = metrics
        self._held: set[asyncio.Event] = set()
        self._draining = False

    def drain(self) -> None:
        """Refuse everything that is held from now on."""
        self._draining = True
        for wakeup in self._held:
            wakeup.set()

    async def place(
        self,
        target: Target,
        attempt: Callable[[Seat], Awaitable[_T]],
        *,
        ticket: Ticket,
        protocol: str,
    ) -> _T:
        """Find a pod for a target and return what `attempt` made of it.

        `attempt` raises `TryAgain` while the pod is not ready. A pod that was taken from a pool
        stays the ticket's, for the caller to keep.

        Raises:
            NotReady: no pod took the connection within the hold timeout.
            SessionEnded: the session is over.
            ShuttingDown: the router is going away.
            Refusal: whatever `attempt` or the target refuses.
        """
        started = time.monotonic()
        wakeup = asyncio.Event()
        ticket.on_change = wakeup.set
        self._held.add(wakeup)
        try:
            with self._routes.subscribed(target.topic, wakeup.set):
                return await self._try(target, attempt, ticket, wakeup)
        finally:
            self._held.discard(wakeup)
            self._metrics.hold_seconds.labels(protocol).observe(time.monotonic() - started)

    async def appear(
        self, topic: Topic, find: Callable[[], _T | None], *, timeout_s: float
    ) -> _T | None:
        """What `find` finds, waiting a moment for a watch that lags; `None` where nothing comes."""
        found = find()
        if found is not None or self._draining:
            return found
        wakeup = asyncio.Event()
        with self._routes.subscribed(topic, wakeup.set):
            try:
                async with asyncio.timeout(timeout_s):
                    while found is None:
                        await wakeup.wait()
                        wakeup.clear()
                        found = find()
            except TimeoutError:
                pass
        return found

    async def _try(
        self,
        target: Target,
        attempt: Callable[[Seat], Awaitable[_T]],
        ticket: Ticket,
        wakeup: asyncio.Event,
    ) -> _T:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._hold_timeout_s
        delay_s = RETRY_FIRST_S
        tried_pod = ""
        while True:
            if self._draining:
                raise ShuttingDown
            wakeup.clear()
            found = await self._find_seat(target, ticket)
            wait_s = deadline - loop.time()
            if isinstance(found, Seat):
                add_log_fields(**about(found.session.key, pod=found.pod))
                if found.pod.uid != tried_pod:
                    tried_pod, delay_s = found.pod.uid, RETRY_FIRST_S
                try:
                    return await attempt(found)
                except SessionEnded as error:
                    cause = error.message
                    if not _goes_on(found, target, ticket, cause):
                        raise
                    wait_s = 0.0
                except TryAgain as error:
                    self._metrics.dial_retries.inc()
                    cause = str(error)
                    wait_s = min(deadline - loop.time(), delay_s * random.uniform(0.8, 1.2))
                    delay_s = min(RETRY_LAST_S, 2 * delay_s)
            else:
                cause = found
            if loop.time() >= deadline:
                raise NotReady(
                    f"no pod took the connection within {self._hold_timeout_s:g} s ({cause}): "
                    "look at the conditions and try again"
                )
            try:
                async with asyncio.timeout(max(0.0, wait_s)):
                    await wakeup.wait()
            except TimeoutError:
                continue

    async def _find_seat(self, target: Target, ticket: Ticket) -> Seat | str:
        """Where the connection goes as things stand, or why it has to wait.

        Raises:
            Refusal: waiting cannot help.
        """
        claim = ticket.claim
        if claim is None:
            found = target.find()
            if isinstance(found, SessionRoute):
                add_log_fields(**about(found.key))
            if not isinstance(found, PoolRoute):
                ticket.withdraw()  # a listener may have led to a pool before
            match found:
                case None:
                    return "no session is there"
                case SessionRoute() if found.ended:
                    raise SessionEnded(f"{found.ended}: nothing can connect any more")
                case SessionRoute():
                    pod = self._routes.pod_for(found)
                    return Seat(found, pod) if pod else "the session has no pod yet"
                case PoolRoute():
                    claim = await ticket.take(found)
        if claim is None:
            return "the pool has no idle pod"
        return Seat(claim.session, claim.pod, claim)


def _goes_on(seat: Seat, target: Target, ticket: Ticket, cause: str) -> bool:
    """Whether a connection whose session is over, its pod says, may look further."""
    if seat.claim is not None:
        ticket.lose("SessionEnded", cause)
        return True
    return target.pass_over(seat.session)
