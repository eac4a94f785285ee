"""Tells one peer about this replica's flows: changes within a tenth of a second, all now and then.

The peer's answer says whether it lacks something, so a message that is lost, or a peer that has
started anew under the same address, costs one more message.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

import aiohttp

from podstream_router.peers.messages import CONTENT_TYPE, PeerMessage, Seal, SealError
from podstream_router.peers.outbox import Outbox, OwnFlows

logger = logging.getLogger(__name__)

PATH: Final = "/peers"
BATCH_S: Final = 0.1
"""Changes that come within this time travel together."""
ALL_S: Final = 10.0
"""Everything is said again so often; a replica is forgotten after three times this."""
RETRY_S: Final = 1.0
_TIMEOUT: Final = aiohttp.ClientTimeout(total=2, sock_connect=0.5)
_OK: Final = 200
_UNAUTHORIZED: Final = 401


class PeerLink:
    """The way to one peer."""

    def __init__(
        self,
        url: str,
        *,
        http: aiohttp.ClientSession,
        seal: Seal,
        own: OwnFlows,
        on_answer: Callable[[PeerMessage], bool],
        max_answer_bytes: int,
    ) -> None:
        """Prepare a link.

        Args:
            url: base URL of the peer's admin port.
            http: for all links.
            seal: of the installation.
            own: this replica's flows.
            on_answer: takes a message of the peer; false where it lacks what came before.
            max_answer_bytes: an answer that is longer is not read.
        """
        self.url = url
        self._http = http
        self._seal = seal
        self._own = own
        self._on_answer = on_answer
        self._max_answer_bytes = max_answer_bytes
        self._outbox = Outbox(own)
        self._wakeup = asyncio.Event()
        self._key = 0
        self.peer = ""
        """Id of the replica that answered last."""
        self.is_up = False
        """Whether the last message arrived."""
        self.tried = asyncio.Event()
        """Set once a first message has arrived or failed."""

    def note(self, source: tuple[str, int]) -> None:
        """A flow of this address began or ended."""
        self._outbox.note(source)
        self._wakeup.set()

    async def run(self) -> None:
        """Keep the peer up to date until cancelled."""
        while True:
            self.is_up = await self._post()
            self.tried.set()
            if self.peer == self._own.name:
                return  # this replica itself
            try:
                async with asyncio.timeout(ALL_S if self.is_up else RETRY_S):
                    await self._wakeup.wait()
            except TimeoutError:
                self._outbox.owes_all = True
            await asyncio.sleep(BATCH_S)
            self._wakeup.clear()

    async def _post(self) -> bool:
        message = self._outbox.take()
        try:
            answer = await self._exchange(message)
        except (aiohttp.ClientError, OSError, TimeoutError, SealError) as error:
            if self.is_up:
                logger.info("peer lost", extra={"peer": self.url, "cause": str(error) or "timeout"})
            self._outbox.failed()
            return False
        if answer.sender != self.peer:
            self.peer = answer.sender
            if self.peer != self._own.name:
                logger.info("peer found", extra={"peer": self.url})
        if answer.sender == self._own.name:
            return True
        if answer.wants_all and not message.is_all:
            self._outbox.owes_all = True
            self._wakeup.set()
        # Where the answer changes what is not known here, everything is asked for.
        self._outbox.wants_all = not self._on_answer(answer)
        return True

    async def _exchange(self, message: PeerMessage) -> PeerMessage:
        """Send a message and return the answer.

        Raises:
            SealError: the peer does not accept this replica, or the other way round.
        """
        for turn in range(self._seal.key_count):
            # A peer that still runs with the keys before a rotation knows only the previous one.
            key = (self._key + turn) % self._seal.key_count
            async with self._http.post(
                self.url + PATH,
                data=self._seal.close(message, key=key),
                headers={"Content-Type": CONTENT_TYPE},
                timeout=_TIMEOUT,
                allow_redirects=False,
            ) as response:
                if response.status == _UNAUTHORIZED:
                    continue
                if response.status != _OK:
                    raise SealError(f"the peer answered {response.status}")
                self._key = key
                return self._seal.open(await self._read(response))
        raise SealError("the peer does not accept this replica's keys")

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > self._max_answer_bytes:
                raise SealError("the peer's answer is too long")
        return bytes(body)
