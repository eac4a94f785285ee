"""One player's peer connection: the ball goes out, estimates come back."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Protocol

from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCRtpCodecCapability,
    RTCRtpSender,
    RTCSessionDescription,
)

from podstream_core.api import Codec
from podstream_workloads.circle.channel import HEARTBEAT, LABEL, Estimate, parse_estimate
from podstream_workloads.circle.source import BallTrack
from podstream_workloads.circle.truth import Truth
from podstream_workloads.media import aiortc_private
from podstream_workloads.media.clock import index_of

logger = logging.getLogger(__name__)

_HEARTBEAT_LOST_S = 8.0
"""Four heartbeats of the own client; without any, ICE consent (30 s) decides."""
_CONNECT_S = 10.0
"""From the exchange of offer and answer to ICE and DTLS; aioice would wait for ever."""
_HOLD_RESEND_S = 0.1
_RTP_MODULUS = 1 << 32


class PlayerEvents(Protocol):
    """Who is told what happens on a player's connection."""

    def established(self) -> None:
        """ICE and DTLS are up."""

    def estimated(self, estimate: Estimate, truth: Truth | None, *, now: float) -> None:
        """An estimate arrived; `truth` is `None` where its frame is not known."""

    def lost(self, reason: str) -> None:
        """The connection is over and was closed; told once, not after `Player.close`."""


@dataclass(frozen=True, slots=True)
class Stream:
    """What a player is sent."""

    track: BallTrack
    codec: Codec
    """Preferred; the other one serves a client that lacks it."""
    fps: int


class Player:
    """Owns one RTCPeerConnection and its tasks; lives until `close` or until the peer is lost."""

    def __init__(self, stream: Stream, *, events: PlayerEvents) -> None:
        self._stream = stream
        self._events = events
        # One transport for media and data: each one takes a media port of the pod.
        self._peer = RTCPeerConnection(
            RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
        self._sender: RTCRtpSender = self._peer.addTrack(stream.track)
        self._transceiver = self._peer.getTransceivers()[0]
        self._transceiver.setCodecPreferences(_preferences(stream.codec))
        self._origin: int | None = None
        self._heard_at: float | None = None
        self._tasks: set[asyncio.Task[None] | None] = set()
        self._over = False
        self._peer.on("connectionstatechange", self._on_state)
        self._peer.on("datachannel", self._on_channel)

    @property
    def codec(self) -> Codec | None:
        """What is sent, once negotiated."""
        name = aiortc_private.negotiated_codec(self._transceiver)
        return Codec(name.upper()) if name else None

    async def offer(self) -> RTCSessionDescription:
        """Make the offer, with the data channel that the original's client waits for."""
        self._on_channel(self._peer.createDataChannel(LABEL))
        await self._peer.setLocalDescription(await self._peer.createOffer())
        return self._peer.localDescription

    async def answer(self, offer: RTCSessionDescription) -> RTCSessionDescription:
        """Answer a client's offer.

        Raises:
            ValueError: the offer is not usable; the message says why.
        """
        await self._peer.setRemoteDescription(_without_candidates(offer))
        await self._peer.setLocalDescription(await self._peer.createAnswer())
        self._spawn(self._watch_connect())
        return self._peer.localDescription

    async def accept(self, answer: RTCSessionDescription) -> None:
        """Take the client's answer to `offer`.

        Raises:
            ValueError: the answer is not usable.
        """
        try:
            await self._peer.setRemoteDescription(_without_candidates(answer))
        except Exception as error:
            # aiortc raises whatever its parser stumbles over; the answer is the client's.
            cause = str(error) or type(error).__name__
            raise ValueError(f"the answer cannot be used: {cause}") from error
        self._spawn(self._watch_connect())

    async def close(self) -> None:
        """End the connection within bounded time; nothing of it is left."""
        self._over = True
        for task in self._tasks:
            if task is not None:
                task.cancel()
        self._stream.track.release()
        self._stream.track.stop()
        await aiortc_private.close_quietly(self._peer)

    # -- what happens on the connection

    def _on_state(self) -> None:
        state = self._peer.connectionState
        logger.info("connection state is %s", state)
        if self._over:
            return
        if state == "connected":
            self._events.established()
            if self._stream.track.is_held:
                self._spawn(self._hold_first_frame())
        elif state in ("failed", "closed"):
            self._lose(f"WebRTC connection {state}")

    def _on_channel(self, channel: RTCDataChannel) -> None:
        channel.on("message", self._on_message)
        channel.on("close", lambda: self._lose("data channel closed"))

    def _on_message(self, message: object) -> None:
        now = time.monotonic()
        if message == HEARTBEAT:
            if self._heard_at is None:
                self._spawn(self._watch_heartbeat())
            self._heard_at = now
            return
        estimate = parse_estimate(message)
        if estimate is None or self._over:
            return
        self._heard_at = now if self._heard_at is not None else None
        track = self._stream.track
        truth = self._match(estimate)
        if estimate.job_s is not None:
            track.rate.looked(estimate.job_s)
        if truth is not None:
            track.release()
            track.rate.answered(now - truth.drawn_at)
        self._events.estimated(estimate, truth, now=now)

    def _match(self, estimate: Estimate) -> Truth | None:
        """The frame that an estimate is about; it is never guessed."""
        pts = estimate.pts
        if estimate.rtp_timestamp is not None:
            last_pts = self._stream.track.last_pts
            if self._origin is None or last_pts is None:
                return None
            # RTP timestamps wrap after 13 hours: the frame is so far behind the last one.
            pts = last_pts - (self._origin + last_pts - estimate.rtp_timestamp) % _RTP_MODULUS
        index = index_of(pts, fps=self._stream.fps)
        return None if index is None else self._stream.track.truth.take(index)

    def first_frame_sent(self) -> None:
        """All packets of frame 0 have left: its RTP timestamp is the origin of all others."""
        self._origin = aiortc_private.sender_rtp_origin(self._sender, last_pts=0)

    async def _hold_first_frame(self) -> None:
        """Show frame 0 until a receiver report says that something of it arrived.

        A client without RTP timestamps counts from the first frame that its receiver delivered. So
        that this is frame 0 also where its first packets are lost, the ball waits and the very same
        packets are sent again; receivers drop those that they have.
        """
        track = self._stream.track
        while track.is_held:
            await asyncio.sleep(_HOLD_RESEND_S)
            stats = await self._sender.getStats()
            if any(entry.type == "remote-inbound-rtp" for entry in stats.values()):
                track.release()
            else:
                await aiortc_private.resend_history(self._sender)

    async def _watch_connect(self) -> None:
        await asyncio.sleep(_CONNECT_S)
        if self._peer.connectionState in ("new", "connecting"):
            self._lose(f"no ICE and DTLS connection within {_CONNECT_S:.0f} s")

    async def _watch_heartbeat(self) -> None:
        while True:
            await asyncio.sleep(1)
            if self._heard_at is not None and time.monotonic() - self._heard_at > _HEARTBEAT_LOST_S:
                self._lose(f"no heartbeat for {_HEARTBEAT_LOST_S:.0f} s")
                return

    def _lose(self, reason: str) -> None:
        if self._over:
            return
        self._over = True
        self._spawn(self._close_lost(reason))

    async def _close_lost(self, reason: str) -> None:
        self._tasks.discard(asyncio.current_task())
        with contextlib.suppress(asyncio.CancelledError):
            await self.close()
        self._events.lost(reason)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _preferences(codec: Codec) -> list[RTCRtpCodecCapability]:
    """Aiortc's codecs with the preferred one first; repair formats stay beside their codec."""
    known = RTCRtpSender.getCapabilities("video").codecs
    return sorted(known, key=lambda item: item.mimeType.upper() != f"VIDEO/{codec}")


def _without_candidates(description: RTCSessionDescription) -> RTCSessionDescription:
    """The client's addresses are learnt from its checks, which come through the router.

    Knowing them, ICE would send media past it.
    """
    lines = description.sdp.splitlines()
    kept = [line for line in lines if not line.startswith(("a=candidate:", "a=end-of-candidates"))]
    return RTCSessionDescription(sdp="\r\n".join(kept) + "\r\n", type=description.type)
