"""Owns the queues of connections that wait for a pod, one per pool, in the order of arrival.

Whenever something changes one step looks at the pool as a whole (`choice`), gives the idle pods to
the first in the queue and refuses those whom the pool's maximum leaves no hope. So a queue of a
thousand costs one look per change, not a thousand.
"""

import asyncio
import bisect
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final

from podstream_core.api import PoolKey
from podstream_router.claims.choice import count_in_use, idle_pods, plan_claims
from podstream_router.claims.demand import Demand
from podstream_router.claims.marks import Marks
from podstream_router.claims.quota import RETRY_S
from podstream_router.claims.ticket import Ticket
from podstream_router.errors import Busy
from podstream_router.metrics import RouterMetrics
from podstream_router.routes import PodRoute, PoolRoute, RouteTable, pool_topic

TICK_S: Final = 1.0
"""How often a queue is looked at without a change, for pods that may be tried again."""


@dataclass(slots=True)
class _Queue:
    subscription: ExitStack
    tickets: list[Ticket] = field(default_factory=list)
    """In the order of arrival."""
    tick: asyncio.TimerHandle | None = None
    is_due: bool = False
    """Whether a look is to follow in this turn of the loop."""


class Queues:
    """All pools' queues of one router."""

    def __init__(
        self,
        *,
        routes: RouteTable,
        marks: Marks,
        demand: Demand,
        router: str,
        metrics: RouterMetrics,
    ) -> None:
        self._routes = routes
        self._marks = marks
        self._demand = demand
        self._router = router
        self._metrics = metrics
        self._loop = asyncio.get_running_loop()
        self._queues: dict[PoolKey, _Queue] = {}

    def __len__(self) -> int:
        return len(self._queues)

    def add(self, ticket: Ticket, pool: PoolRoute) -> None:
        """Let a ticket wait for a pod of this pool; it is told in the next turn of the loop."""
        if ticket.queue == pool.key:
            return
        self.discard(ticket)
        queue = self._queues.get(pool.key) or self._open(pool.key)
        bisect.insort(queue.tickets, ticket, key=lambda item: item.number)
        ticket.queue = pool.key
        self.look_soon(pool.key)

    def discard(self, ticket: Ticket) -> None:
        """The ticket waits no longer."""
        key, ticket.queue = ticket.queue, None
        if key is not None:
            self._queues[key].tickets.remove(ticket)
            self.look_soon(key)

    def look_soon(self, key: PoolKey) -> None:
        """Look at a queue once in this turn of the loop, however much changes in it."""
        queue = self._queues.get(key)
        if queue is not None and not queue.is_due:
            queue.is_due = True
            self._loop.call_soon(self._look, key)

    def _open(self, key: PoolKey) -> _Queue:
        stack = ExitStack()
        stack.enter_context(self._routes.subscribed(pool_topic(key), lambda: self.look_soon(key)))
        queue = self._queues[key] = _Queue(stack)
        return queue

    def _look(self, key: PoolKey) -> None:
        """Grant, refuse, or let wait: every ticket of one queue, in one step."""
        queue = self._queues.get(key)
        if queue is None:
            return
        queue.is_due = False
        if queue.tick is not None:
            queue.tick.cancel()
        pool = self._routes.pool(key)
        tickets, queue.tickets = queue.tickets, []
        if pool is None or pool.ended:
            for ticket in tickets:  # their targets know what to say
                ticket.queue = None
                ticket.on_change()
        else:
            queue.tickets = self._serve(pool, tickets)
        self._demand.set(key, len(queue.tickets))
        if queue.tickets:
            queue.tick = self._loop.call_later(TICK_S, self._look, key)
        else:
            queue.subscription.close()
            del self._queues[key]

    def _serve(self, pool: PoolRoute, tickets: list[Ticket]) -> list[Ticket]:
        """Give pods to the first and refuse the hopeless; return those that wait on."""
        idle = idle_pods(
            pool,
            pods=self._routes.pods_of_owner(pool.uid),
            is_taken=self._marks.is_taken,
            is_resting=self._marks.is_resting,
            salt=self._router,
        )
        in_use = 0
        if len(tickets) > len(idle):
            in_use = count_in_use(
                self._routes.pods_of_pool(pool.key),
                is_taken=self._marks.is_taken,
                has_ended=self._has_ended,
            )
        plan = plan_claims(pool, idle=idle, in_use=in_use, waiting=len(tickets))
        for ticket in tickets:
            ticket.queue = None
        served = len(plan.granted)
        for ticket, pod in zip(tickets[:served], plan.granted, strict=True):
            self._marks.take(pod.uid)
            ticket.grant(pod)
        for ticket in tickets[plan.admitted :]:
            self._metrics.claims.labels("busy").inc()
            message = f"all {pool.max} pods that pool {pool.key} may have are in use: try again"
            ticket.refuse(Busy(message, retry_after_s=RETRY_S))
        waiting = tickets[served : plan.admitted]
        for ticket in waiting:
            ticket.queue, ticket.has_waited = pool.key, True
        return waiting

    def _has_ended(self, pod: PodRoute) -> bool:
        session = self._routes.session(pod.session) if pod.session else None
        return session is not None and session.uid == pod.owner_uid and bool(session.ended)
