"""Listeners whose connections are joined with the pod's in the kernel.

What a client says first, and in which words it is refused, is up to the listener of its protocol.
"""

import logging
from abc import ABC
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from podstream_core.agentapi import ConnectionGrant
from podstream_core.splice import Broken
from podstream_router.agent import RawStream
from podstream_router.claims import Ticket
from podstream_router.listening import Bound, SocketListener
from podstream_router.logfields import about
from podstream_router.placement import Seat
from podstream_router.protocols import require_workload
from podstream_router.targets import ListenerTarget, SessionTarget

logger = logging.getLogger(__name__)


class SplicingListener(SocketListener, ABC):
    """One listening port."""

    async def place(
        self,
        target: SessionTarget | ListenerTarget,
        ticket: Ticket,
        *,
        grant: Callable[[Seat], ConnectionGrant],
    ) -> Bound[RawStream]:
        """Find the client a pod and connect to it.

        Args:
            target: what the client names.
            ticket: the client's.
            grant: what the pod is told of the connection.

        Raises:
            Refusal: no pod takes the client.
        """
        found = target.find()
        if found is not None:  # before a pod is taken for what it cannot serve
            require_workload(found.workloads, protocol=self.protocol, target=str(found.key))

        async def attempt(seat: Seat) -> Bound[RawStream]:
            stream = await self.desk.agent.open_raw_stream(seat.pod, grant=grant(seat))
            return Bound(seat, stream)

        with self.desk.held.place(ticket.source):
            return await self.desk.placement.place(
                target, attempt, ticket=ticket, protocol=self.protocol.value
            )

    @contextmanager
    def serving(self, bound: Bound[RawStream], ticket: Ticket) -> Iterator[None]:
        """For as long as bytes pass: reports the beginning and the end, closes the pod's side."""
        with bound.stream.sock:
            ticket.keep()
            self.report(bound, "connection bound")
            try:
                yield
            finally:
                self.report(bound, "connection ended")


def log_broken(bound: Bound[RawStream], error: Broken) -> str:
    """Log that a side has broken off; the result for the metric."""
    key, route = bound.seat.session.key, bound.seat.pod
    logger.info("connection broke off", extra=about(key, pod=route, cause=str(error)))
    return "Broken"
