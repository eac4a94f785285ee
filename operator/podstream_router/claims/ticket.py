"""One connection's way to a pod of a pool: from the queue, or to a refusal."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Protocol

from podstream_core.api import Origin, PoolKey
from podstream_router.claims.claim import Claim
from podstream_router.errors import PodFailed, Refusal
from podstream_router.routes import PodRoute, PoolRoute

MAX_LOST_CLAIMS: Final = 3
"""So many pods may end under one connection before it is refused: a pool whose pods crash on their
assignment must not be emptied by it."""


class Desk(Protocol):
    """Where tickets are drawn; see `podstream_router.claims.claims`."""

    def enqueue(self, ticket: "Ticket", pool: PoolRoute) -> None:
        """Let a ticket wait for a pod of this pool, at its own place in the order of arrival."""

    def leave(self, ticket: "Ticket") -> None:
        """The ticket waits no longer."""

    def give_back(self, pod: PodRoute) -> None:
        """A pod was granted in vain."""

    async def assign(self, ticket: "Ticket", pool: PoolRoute, pod: PodRoute) -> Claim | None:
        """Assign a pod that was granted to a ticket; `None` where somebody else has it."""

    def is_alive(self, claim: Claim) -> bool:
        """Whether the pod still runs."""

    def release(self, claim: Claim, *, reason: str, message: str) -> None:
        """End a pod that no client has used."""

    def keep(self, claim: Claim) -> None:
        """The pod has its client: make the session."""


class Ticket:
    """Stands for a connection; the order of numbers is that of arrival."""

    def __init__(self, desk: Desk, *, number: int, source: str, now: float) -> None:
        self.number = number
        self.source = source
        """Address of the client."""
        self.since = now
        """Arrival on the desk's clock, seconds."""
        self.arrived = datetime.now(UTC)
        self.on_change: Callable[[], None] = lambda: None
        """Called when it pays to `take` again."""
        self.queue: PoolKey | None = None
        """The pool whose queue it stands in; set by the desk."""
        self.pending: PoolKey | None = None
        """The pool that it wants a pod of and has none yet, waiting or being assigned."""
        self.has_waited = False
        self._desk = desk
        self._granted: PodRoute | None = None
        self._refusal: Refusal | None = None
        self._claim: Claim | None = None
        self._lost = 0
        self._is_kept = False

    @property
    def origin(self) -> Origin:
        """Cold where the connection had to wait for a pod's start."""
        return Origin.COLD if self.has_waited else Origin.WARM

    @property
    def claim(self) -> Claim | None:
        """The pod that the connection has, while it runs."""
        if self._claim is not None and not self._desk.is_alive(self._claim):
            self.lose("PodLost", "the pod ended before it took the connection")
        return self._claim

    async def take(self, pool: PoolRoute) -> Claim | None:
        """The connection's pod; `None` where it has to wait for `on_change`.

        Raises:
            Refusal: waiting cannot help.
        """
        while self._claim is None:
            if self._lost >= MAX_LOST_CLAIMS:
                raise PodFailed(f"{self._lost} pods of pool {pool.key} ended when they were used")
            if self._granted is None and self._refusal is None:
                self._desk.enqueue(self, pool)
            if self._refusal is not None:
                raise self._refusal
            if self._granted is None:
                return None
            pod, self._granted = self._granted, None
            self._claim = await self._desk.assign(self, pool, pod)
        return self._claim

    def grant(self, pod: PodRoute) -> None:
        """The desk has a pod for this ticket, which has left the queue."""
        self._granted = pod
        self.has_waited = self.has_waited or not pod.ready
        self.on_change()

    def refuse(self, refusal: Refusal) -> None:
        """The desk has no hope for this ticket, which has left the queue."""
        self._refusal = refusal
        self.on_change()

    def lose(self, reason: str, message: str) -> None:
        """The pod has ended, or will not do: another one has to be taken."""
        if self._claim is not None:
            self._desk.release(self._claim, reason=reason, message=message)
            self._claim = None
            self._lost += 1

    def keep(self) -> None:
        """The pod has taken the connection; further calls do nothing."""
        if self._claim is not None and not self._is_kept:
            self._is_kept = True
            self._desk.keep(self._claim)

    def withdraw(self) -> None:
        """The connection does not want a pod of a pool any more, unless it has one."""
        self._desk.leave(self)
        pod, self._granted = self._granted, None
        if pod is not None:
            self._desk.give_back(pod)

    def close(self) -> None:
        """The connection is over; a pod that it has and has not kept is ended."""
        self.withdraw()
        if self._claim is not None and not self._is_kept:
            self._desk.release(
                self._claim, reason="Abandoned", message="the client left before it was served"
            )
        self._claim = None
