"""Counts who has how many sessions, those that are about to be made included."""

from podstream_router.claims.quota import check_namespace, check_source
from podstream_router.claims.ticket import Ticket
from podstream_router.routes import PoolRoute, RouteTable


class Limits:
    """Limits per client address and per namespace, on this router's own view."""

    def __init__(self, *, routes: RouteTable, sessions_per_namespace: int) -> None:
        """`sessions_per_namespace`: living sessions of a namespace; 0: no limit."""
        self._routes = routes
        self._sessions_per_namespace = sessions_per_namespace
        self._pending: set[Ticket] = set()

    def add(self, ticket: Ticket, pool: PoolRoute) -> None:
        """Count a ticket that wants a session of a pool.

        Raises:
            Busy: its source or its namespace has all that it may have.
        """
        if ticket.pending == pool.key:
            return
        self.discard(ticket)
        if pool.max_per_source:
            living = self._living_of_source(pool, ticket.source)
            check_source(pool, source=ticket.source, living=living)
        if self._sessions_per_namespace:
            namespace = pool.key.namespace
            living = self._living_in(namespace)
            check_namespace(namespace, living=living, limit=self._sessions_per_namespace)
        ticket.pending = pool.key
        self._pending.add(ticket)

    def discard(self, ticket: Ticket) -> None:
        """The ticket has its session, or wants none any more."""
        ticket.pending = None
        self._pending.discard(ticket)

    def _living_of_source(self, pool: PoolRoute, source: str) -> int:
        sessions = self._routes.sessions_of_pool(pool.key)
        living = sum(1 for item in sessions if not item.ended and item.client_address == source)
        waiting = (item for item in self._pending if item.pending == pool.key)
        return living + sum(1 for item in waiting if item.source == source)

    def _living_in(self, namespace: str) -> int:
        wanted = (item.pending for item in self._pending)
        waiting = sum(1 for key in wanted if key is not None and key.namespace == namespace)
        return self._routes.living_sessions(namespace) + waiting
