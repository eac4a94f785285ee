"""A WHEP client that notes when things happen; many of them run in one process."""

import asyncio
import re
import time
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from types import TracebackType
from typing import Final, Self
from urllib.parse import urljoin

import aiohttp
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from av import VideoFrame

from podstream_core.ufrag import parse_ufrag
from podstream_workloads.circle.channel import LABEL
from podstream_workloads.media import aiortc_private

_NOT_YET: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE})
_AGAIN_S: Final = 0.02


class Refused(Exception):
    """The server's answer was not 201; the message is its status and its words."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status} {text[:300]}")
        self.status = status


@dataclass
class Times:
    """Moments of one connection, seconds of the monotonic clock; 0: it did not happen."""

    asked: float = 0.0
    """The first offer was sent."""
    answered: float = 0.0
    """The answer's first byte came."""
    connected: float = 0.0
    """ICE and DTLS were up."""
    frame: float = 0.0
    """The first frame was decoded."""


@dataclass
class Player:
    """One connection: use as an asynchronous context manager, then `play`."""

    http: aiohttp.ClientSession
    url: str
    token: str | None = None
    times: Times = field(default_factory=Times)
    headers: dict[str, str] = field(default_factory=dict)
    """Headers of the answer."""
    location: str = ""
    answer: str = ""
    refusals: list[int] = field(default_factory=list)
    """Statuses that were answered before the session was there."""

    async def __aenter__(self) -> Self:
        """Make the offer; that is no part of any time."""
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._receiver = self._peer.addTransceiver("video", direction="recvonly").receiver
        self._peer.createDataChannel(LABEL, ordered=False, maxRetransmits=0)
        self._peer.on("connectionstatechange", self._on_state)
        await self._peer.setLocalDescription(await self._peer.createOffer())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await aiortc_private.close_quietly(self._peer)

    async def play(self, *, timeout_s: float, patient: bool = False) -> VideoFrame:
        """Connect and give the first decoded frame.

        Args:
            timeout_s: for everything.
            patient: ask again where the session is not known yet or its pod is not there.

        Raises:
            Refused: the server said no.
            TimeoutError: no frame came in time.
        """
        async with asyncio.timeout(timeout_s):
            self.times.asked = time.monotonic()
            self.answer = await self._exchange(patient=patient)
            await self._peer.setRemoteDescription(RTCSessionDescription(self.answer, "answer"))
            frame = await self.next_frame()
            self.times.frame = time.monotonic()
            return frame

    async def watch(self, seconds: float) -> int:
        """Decode for a while, or until the stream ends; how many frames there were."""
        count = 0
        with suppress(TimeoutError, MediaStreamError):
            async with asyncio.timeout(seconds):
                while True:
                    await self.next_frame()
                    count += 1
        return count

    @property
    def pod_digest(self) -> str:
        """Which pod the media come from, by the answer's ICE user name fragment.

        The pod makes the fragment from its UID, and its media are accepted only from the peer
        that proves to know the password beside it.
        """
        found = re.search(r"(?m)^a=ice-ufrag:(\S+)\s*$", self.answer)
        target = parse_ufrag(found[1]) if found else None
        assert target is not None, f"the answer names no pod: {self.answer[:400]}"
        return target.pod_digest

    @property
    def session(self) -> str:
        """Name of the session that a pool's connection was given."""
        return self.headers.get("Podstream-Session", "").partition("/")[2]

    async def next_frame(self) -> VideoFrame:
        """The next decoded frame. Raises aiortc's MediaStreamError where the stream has ended."""
        frame = await self._receiver.track.recv()
        assert isinstance(frame, VideoFrame)
        return frame

    async def leave(self) -> None:
        """Tell the server that this client goes."""
        if self.location:
            async with self.http.delete(self.location, headers=self._authorization):
                pass

    @property
    def ended(self) -> bool:
        """Whether the server has closed the connection, or it was lost."""
        return self._peer.connectionState in ("failed", "closed")

    def _on_state(self) -> None:
        if self._peer.connectionState == "connected" and not self.times.connected:
            self.times.connected = time.monotonic()

    @property
    def _authorization(self) -> dict[str, str]:
        return {} if self.token is None else {"Authorization": f"Bearer {self.token}"}

    async def _exchange(self, *, patient: bool) -> str:
        offer = self._peer.localDescription.sdp.encode()
        while True:
            async with self.http.post(
                self.url,
                data=offer,
                headers={"Content-Type": "application/sdp", **self._authorization},
            ) as reply:
                if reply.status == HTTPStatus.CREATED:
                    self.times.answered = time.monotonic()
                    self.headers = dict(reply.headers)
                    self.location = urljoin(self.url, reply.headers.get("Location", ""))
                    return await reply.text()
                if not patient or reply.status not in _NOT_YET:
                    raise Refused(reply.status, await reply.text())
                self.refusals.append(reply.status)
            await asyncio.sleep(_AGAIN_S)
