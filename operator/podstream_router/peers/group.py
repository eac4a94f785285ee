"""Finds the other replicas, and takes what they say.

Peers are the addresses behind the names in PODSTREAM_PEERS (a headless Service), resolved every few
seconds, and whoever writes here with the installation's seal: a replica that starts is known to all
others with its first message, whatever a DNS cache may still say.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

import aiohttp
from aiohttp import web

from podstream_router.advertise import Resolver, resolve_host
from podstream_router.peers.link import ALL_S, PATH, PeerLink
from podstream_router.peers.messages import (
    CONTENT_TYPE,
    MAX_ENTRY_BYTES,
    FlowEntry,
    PeerMessage,
    Seal,
    SealError,
    Source,
)
from podstream_router.peers.outbox import OwnFlows
from podstream_router.peers.table import MAX_REPLICAS, AnnouncedFlows
from podstream_router.settings import split_address

logger = logging.getLogger(__name__)

RESOLVE_S: Final = 3.0
FORGET_S: Final = 3 * ALL_S
"""An address that is in no DNS answer and writes nothing for so long is no peer any more."""
FIRST_ROUND_S: Final = 3.0
"""A replica that starts waits no longer for what the others know."""
_BODY_TIMEOUT_S: Final = 5.0


class PeerGroup:
    """All replicas but this one."""

    def __init__(
        self,
        names: Sequence[str],
        *,
        http: aiohttp.ClientSession,
        seal: Seal,
        own: OwnFlows,
        announced: AnnouncedFlows,
        on_news: Callable[[list[FlowEntry]], None],
        max_flows: int,
        resolve: Resolver = resolve_host,
    ) -> None:
        """Prepare a group.

        Args:
            names: `host:port` of the peers' admin ports; one name may have many addresses.
            http: for all messages.
            seal: of the installation.
            own: this replica's flows.
            announced: what peers say is kept here.
            on_news: told of flows that a peer has not named before.
            max_flows: of one replica; bounds the length of a message.
            resolve: asks for the addresses of a name.
        """
        self._names = [split_address(name, variable="PODSTREAM_PEERS") for name in names]
        self._http = http
        self._seal = seal
        self._own = own
        self._announced = announced
        self._on_news = on_news
        self._max_bytes = max_flows * MAX_ENTRY_BYTES + 4096
        # An answer may tell of third replicas as well.
        self._max_answer_bytes = 4 * self._max_bytes
        self._resolve = resolve
        self._loop = asyncio.get_running_loop()
        self._links: dict[str, PeerLink] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._seen_at: dict[str, float] = {}
        self._group: asyncio.TaskGroup | None = None
        self.messages: Counter[str] = Counter()
        """Messages that came, by result."""
        self.has_asked = not self._names
        """Whether every peer that was found has been asked once for what it knows."""

    @property
    def links(self) -> list[PeerLink]:
        """Links to peers that answer."""
        return [link for link in self._links.values() if link.is_up and not self._is_self(link)]

    def add_to(self, app: web.Application) -> None:
        """Add the path for messages, on the port that clients do not reach."""
        if self._names:
            app.router.add_post(PATH, self._take)

    def note(self, source: Source) -> None:
        """A flow of this replica began or ended."""
        for link in self._links.values():
            link.note(source)

    async def run(self) -> None:
        """Find peers and tell them everything until cancelled."""
        if not self._names:
            return
        async with asyncio.TaskGroup() as self._group:
            try:
                await self._look()
                await self._ask_first()
                while True:
                    await asyncio.sleep(RESOLVE_S)
                    await self._look()
            finally:
                for task in self._tasks.values():
                    task.cancel()

    async def _ask_first(self) -> None:
        waits = [asyncio.ensure_future(link.tried.wait()) for link in self._links.values()]
        try:
            if waits:
                await asyncio.wait(waits, timeout=FIRST_ROUND_S)
        finally:
            for wait in waits:
                wait.cancel()
        self.has_asked = True

    async def _look(self) -> None:
        """Resolve the names, add who is new, and drop who has long been gone."""
        for host, port in self._names:
            try:
                addresses = await self._resolve(host)
            except OSError as error:
                logger.warning("peers not found", extra={"host": host, "cause": str(error)})
                continue
            for address in addresses:
                self._meet(address, port)
        now = self._loop.time()
        for url, seen_at in tuple(self._seen_at.items()):
            if now - seen_at > FORGET_S:
                self._forget(url)
        self._announced.sweep(now=now)

    def _meet(self, address: str, port: int) -> None:
        host = f"[{address}]" if ":" in address else address
        url = f"http://{host}:{port}"
        if url not in self._links:
            if self._group is None or len(self._links) > MAX_REPLICAS:
                return
            link = PeerLink(
                url,
                http=self._http,
                seal=self._seal,
                own=self._own,
                on_answer=self._on_message,
                max_answer_bytes=self._max_answer_bytes,
            )
            self._links[url] = link
            self._tasks[url] = self._group.create_task(link.run(), name=f"peer:{url}")
        self._seen_at[url] = self._loop.time()

    def _forget(self, url: str) -> None:
        del self._seen_at[url], self._links[url]
        self._tasks.pop(url).cancel()

    def _is_self(self, link: PeerLink) -> bool:
        return link.peer == self._own.name

    async def _take(self, request: web.Request) -> web.Response:
        """Answer one message of a peer."""
        try:
            message = self._seal.open(await self._read(request))
        except SealError as error:
            self.messages["refused"] += 1
            logger.warning("peer refused", extra={"address": request.remote, "cause": str(error)})
            return web.Response(status=401)
        wants_all = False
        if message.sender != self._own.name:
            if request.remote and message.admin_port > 0:
                self._meet(request.remote, message.admin_port)
            wants_all = not self._on_message(message)
        answer = self._own.message(
            flows=list(self._own.flows.values()) if message.wants_all else [],
            others=self._announced.hearsay(but=message.sender) if message.wants_all else [],
            is_all=message.wants_all,
            wants_all=wants_all,
        )
        return web.Response(body=self._seal.close(answer), content_type=CONTENT_TYPE)

    async def _read(self, request: web.Request) -> bytes:
        body = bytearray()
        try:
            async with asyncio.timeout(_BODY_TIMEOUT_S):
                async for chunk in request.content.iter_any():
                    body += chunk
                    if len(body) > self._max_bytes:
                        raise SealError("the message is too long")
        except TimeoutError as error:
            raise SealError("the message did not arrive in time") from error
        return bytes(body)

    def _on_message(self, message: PeerMessage) -> bool:
        """Keep what a peer says; false where it changes what is not known here."""
        news = self._announced.apply(message, now=self._loop.time())
        self.messages["applied" if news is not None else "stale"] += 1
        if news:
            self._on_news(news)
        return self._announced.knows(message.sender)
