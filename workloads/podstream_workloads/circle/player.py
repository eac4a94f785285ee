"""One player's peer connection: the ball goes out, estimates come back."""

import asyncio
from dataclasses import dataclass
from typing import Protocol

from aiortc import RTCDataChannel, RTCRtpSender, RTCSessionDescription

from podstream_core.api import Codec
from podstream_workloads.circle.channel import (
    LABEL,
    MAX_BUFFERED,
    Estimate,
    ToldTruth,
    format_truth,
    parse_estimate,
)
from podstream_workloads.circle.source import BallTrack
from podstream_workloads.circle.truth import Truth
from podstream_workloads.media import aiortc_private
from podstream_workloads.media.clock import index_of
from podstream_workloads.media.codecs import codec_preferences
from podstream_workloads.media.peer import ClientPeer, PeerEvents, without_candidates

_HOLD_RESEND_S = 0.1
_RTP_MODULUS = 1 << 32


class PlayerEvents(PeerEvents, Protocol):
    """Who is told what happens on a player's connection."""

    def estimated(self, estimate: Estimate, truth: Truth | None, *, now: float) -> None:
        """An estimate arrived; `truth` is `None` where its frame is not known."""


@dataclass(frozen=True, slots=True)
class Stream:
    """What a player is sent."""

    track: BallTrack
    codec: Codec
    """Preferred; the other one serves a client that lacks it."""
    fps: int
    told_radius: float | None = None
    """The ball's radius, pixels, where the client is told the truth; `None`: it is not told."""


class Player(ClientPeer):
    """Sends the ball and matches what comes back with the frames."""

    def __init__(self, stream: Stream, *, events: PlayerEvents) -> None:
        super().__init__(events)
        self._stream = stream
        self._events = events
        self._sender: RTCRtpSender = self._peer.addTrack(stream.track)
        self._transceiver = self._peer.getTransceivers()[0]
        self._transceiver.setCodecPreferences(codec_preferences(stream.codec))
        self._origin: int | None = None
        self._channels: list[RTCDataChannel] = []

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

    async def accept(self, answer: RTCSessionDescription) -> None:
        """Take the client's answer to `offer`.

        Raises:
            ValueError: the answer is not usable.
        """
        try:
            await self._peer.setRemoteDescription(without_candidates(answer))
        except Exception as error:
            # aiortc raises whatever its parser stumbles over; the answer is the client's.
            cause = str(error) or type(error).__name__
            raise ValueError(f"the answer cannot be used: {cause}") from error
        self._spawn(self._watch_connect())

    # -- what happens on the connection

    def _connected(self) -> None:
        if self._stream.track.is_held:
            self._spawn(self._hold_first_frame())

    def _opened(self, channel: RTCDataChannel) -> None:
        self._channels.append(channel)

    def _stop(self) -> None:
        self._stream.track.release()
        self._stream.track.stop()

    def _message(self, message: object, *, now: float) -> None:
        estimate = parse_estimate(message)
        if estimate is None:
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
        if truth is not None:
            self._tell(estimate, truth)

    def _tell(self, estimate: Estimate, truth: Truth) -> None:
        """Say where the ball was, where the session is one that says it: the estimate is in."""
        radius = self._stream.told_radius
        if radius is None:
            return
        told = ToldTruth((truth.x, truth.y), radius, estimate.pts, estimate.rtp_timestamp)
        for channel in self._channels:
            if channel.readyState == "open" and channel.bufferedAmount <= MAX_BUFFERED:
                channel.send(format_truth(told))

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
