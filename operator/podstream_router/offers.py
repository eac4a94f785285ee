"""Takes offers to pods, and ends connections whose answer nobody reads."""

import asyncio
import logging
from collections.abc import Coroutine

from podstream_core.agentapi import ConnectionGrant
from podstream_router.advertise import Advertised
from podstream_router.agent import AgentClient, WhepAnswer
from podstream_router.descriptions import rewrite_for_clients
from podstream_router.errors import Overloaded, PodFailed, Refusal, TryAgain
from podstream_router.logfields import about
from podstream_router.placement import Seat

logger = logging.getLogger(__name__)


class Offers:
    """Exchanges of one router."""

    def __init__(self, *, agent: AgentClient, advertised: Advertised) -> None:
        self._agent = agent
        self._advertised = advertised
        self._cleanups: set[asyncio.Task[None]] = set()

    async def exchange(self, seat: Seat, *, grant: ConnectionGrant, offer: str) -> WhepAnswer:
        """Offer to one pod; its answer leads to this router.

        Raises:
            TryAgain: the pod is not ready.
            Refusal: the pod does not take the connection.
        """
        addresses = self._advertised.addresses
        if not addresses:
            raise Overloaded("the router's media address is not resolved yet")
        call = asyncio.create_task(self._agent.connect_whep(seat.pod, grant=grant, sdp=offer))
        try:
            answer = await asyncio.shield(call)
        except asyncio.CancelledError:
            self._clean_up(self._end_when_done(call, seat, grant))
            raise
        try:
            rewritten = rewrite_for_clients(answer.sdp, pod=seat.pod, addresses=addresses)
        except PodFailed:
            self._clean_up(self._end_quietly(seat, grant, answer.connection))
            raise
        return WhepAnswer(answer.connection, rewritten)

    async def close(self) -> None:
        """Wait for clean-ups that are under way."""
        if self._cleanups:
            await asyncio.gather(*self._cleanups, return_exceptions=True)

    def _clean_up(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._cleanups.add(task)
        task.add_done_callback(self._cleanups.discard)

    async def _end_when_done(
        self, call: asyncio.Task[WhepAnswer], seat: Seat, grant: ConnectionGrant
    ) -> None:
        try:
            answer = await call
        except (Refusal, TryAgain):
            return
        await self._end_quietly(seat, grant, answer.connection)

    async def _end_quietly(self, seat: Seat, grant: ConnectionGrant, connection: str) -> None:
        try:
            await self._agent.end_whep(seat.pod, grant=grant, connection=connection)
        except (Refusal, TryAgain) as error:
            extra = about(seat.session.key, pod=seat.pod, cause=str(error))
            logger.debug("unused connection not ended", extra=extra)
