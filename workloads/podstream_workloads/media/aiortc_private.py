"""The private names of aiortc and aioice that podstream uses.

Both libraries are pinned exactly; `private_names` lists what is used of them, and tests fail when
one of the names goes or changes its meaning. Nothing outside this module, `jitter` and `takeover`
(which follows a peer to a new address) may touch a private name of them.

* The jitter buffer releases a video frame when the next one's first packet arrives, one frame
  interval late, and one frame per packet, so that frames which waited for a late packet leave a
  standing backlog; a hole in it may last for minutes, and its queue for the decoder has no bound.
  `install_marker_release` puts another one in its place (`jitter`).
* A frame's RTP timestamp identifies it on both sides, but the public API gives only differences.
* aiortc makes its own encoders, with options that nobody can set; how it cuts their pictures into
  packets is kept.
* aioice binds every interface at a random port under a random user name; a session pod listens at
  one address inside a fixed range, and its user name says which pod and port it is.
"""

import asyncio
import contextlib
import queue
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any

import aiortc.codecs.h264
import aiortc.codecs.vpx
import aiortc.rtcpeerconnection
import aiortc.rtcrtpreceiver
import aiortc.rtcrtpsender
from aioice.candidate import Candidate, candidate_foundation, candidate_priority
from aiortc import RTCPeerConnection, RTCRtpReceiver, RTCRtpSender, RTCRtpTransceiver
from aiortc.codecs import get_encoder as _stock_get_encoder
from aiortc.codecs.base import Encoder
from aiortc.rtcicetransport import RTCIceGatherer

from podstream_core.ufrag import make_ufrag
from podstream_workloads.media.jitter import MarkerJitterBuffer
from podstream_workloads.media.takeover import HeardProtocol, TakeoverConnection

_RTP_MODULUS = 1 << 32


# -- frames leave the jitter buffer when they are complete, and are decoded in time

_MOST_UNDECODED = 90_000
"""Ticks of the video clock (1 s) between the oldest and the newest frame that wait for the decoder.

A hole that was filled may let go of less than half of that at once.
"""

_stock_handle_rtp_packet = RTCRtpReceiver._handle_rtp_packet


async def _handle_rtp_packet(self: RTCRtpReceiver, packet: Any, arrival_time_ms: int) -> None:
    """Take a packet as aiortc does, then decode every further frame that it has completed."""
    await _stock_handle_rtp_packet(self, packet, arrival_time_ms=arrival_time_ms)
    private: Any = self
    buffer = private._RTCRtpReceiver__jitter_buffer
    if not isinstance(buffer, MarkerJitterBuffer):
        return
    decoder_queue = private._RTCRtpReceiver__decoder_queue
    while (
        private._RTCRtpReceiver__decoder_thread is not None
        and (popped := buffer.pop_complete()) is not None
    ):
        payload_type, frame = popped
        frame.timestamp = private._RTCRtpReceiver__timestamp_mapper.map(frame.timestamp)
        codec = private._RTCRtpReceiver__codecs[payload_type]
        decoder_queue.put((codec, frame))
    if _is_behind(decoder_queue):
        # A decoder that is too slow costs pictures, never time: the next one is a key frame.
        with contextlib.suppress(queue.Empty):
            while decoder_queue.get_nowait() is not None:
                pass
            decoder_queue.put(None)
        buffer.require_key_frame()
        await private._send_rtcp_pli(packet.ssrc)


def _is_behind(waiting: "queue.Queue[Any]") -> bool:
    with waiting.mutex:
        frames = [waiting.queue[0], waiting.queue[-1]] if len(waiting.queue) > 1 else []
    if None in frames or not frames:
        return False
    first, last = (frame.timestamp for _, frame in frames)
    return bool(last - first > _MOST_UNDECODED)


def install_marker_release() -> None:
    """Make every receiver of this process release video frames as soon as they are complete."""
    module: Any = aiortc.rtcrtpreceiver
    module.JitterBuffer = MarkerJitterBuffer
    module.RTCRtpReceiver._handle_rtp_packet = _handle_rtp_packet


HISTORY = 1024
"""Packets that can be repeated; aiortc's 128 are two frames of 3840x2160."""


def keep_history() -> None:
    """Let senders of this process repeat, and receivers ask for, the last `HISTORY` packets."""
    for module in (aiortc.rtcrtpsender, aiortc.rtcrtpreceiver):
        private: Any = module
        private.RTP_HISTORY_SIZE = HISTORY


async def ask_again(receiver: RTCRtpReceiver) -> None:
    """Send a NACK (RFC 4585) for the packets that are still waited for.

    aiortc asks when it notices a gap and never again, so that a lost answer is a lost packet.
    """
    private: Any = receiver
    origin = getattr(private._RTCRtpReceiver__jitter_buffer, "origin", None)
    source = _media_source(private)
    missing = private._RTCRtpReceiver__nack_generator.missing
    wanted = sorted(
        number for number in missing if origin is not None and _is_after(number, origin)
    )
    if wanted and source is not None:
        with contextlib.suppress(ConnectionError):
            await private._send_rtcp_nack(source, wanted)


def packets_received(receiver: RTCRtpReceiver) -> int:
    """RTP packets so far, repeated ones too."""
    streams: dict[int, Any] = receiver._RTCRtpReceiver__remote_streams  # type: ignore[attr-defined]
    return sum(stream.packets_received for stream in streams.values())


def _media_source(receiver: Any) -> int | None:
    """SSRC of the stream that was heard last; a sender listens to no feedback on its repairs."""
    active: dict[int, Any] = receiver._RTCRtpReceiver__active_ssrc
    repairs = receiver._RTCRtpReceiver__rtx_ssrc
    heard = [ssrc for ssrc in active if ssrc not in repairs]
    return max(heard, key=lambda ssrc: active[ssrc]) if heard else None


def _is_after(number: int, origin: int) -> bool:
    return (number - origin) % (1 << 16) < 1 << 15


# -- RTP timestamps


def receiver_rtp_timestamp(receiver: RTCRtpReceiver, pts: int) -> int | None:
    """RTP timestamp of a received frame; `None` before the first frame."""
    origin = receiver._RTCRtpReceiver__timestamp_mapper._origin  # type: ignore[attr-defined]
    return None if origin is None else (origin + pts) % _RTP_MODULUS


def sender_rtp_origin(sender: RTCRtpSender, *, last_pts: int) -> int | None:
    """RTP timestamp of presentation time 0; `None` before the first packet.

    Args:
        sender: sends frames whose packets have all left.
        last_pts: presentation time of the last of those frames, ticks of 1/90000 s.
    """
    private: Any = sender
    if private._RTCRtpSender__packet_count == 0:
        return None
    timestamp: int = private._RTCRtpSender__rtp_timestamp
    return (timestamp - last_pts) % _RTP_MODULUS


async def resend_history(sender: RTCRtpSender) -> None:
    """Send the packets of the sender's history once more, bit for bit; receivers drop duplicates.

    Only for a history that is shorter than its ring, that is at the start of a stream.
    """
    private: Any = sender
    extensions = private._RTCRtpSender__rtp_header_extensions_map
    for packet in list(private._RTCRtpSender__rtp_history.values()):
        with contextlib.suppress(ConnectionError):
            await sender.transport._send_rtp(packet.serialize(extensions))


async def request_key_frame(receiver: RTCRtpReceiver) -> None:
    """Send a picture loss indication (RFC 4585) for the stream that was heard last."""
    private: Any = receiver
    source = _media_source(private)
    if source is not None:
        with contextlib.suppress(ConnectionError):
            await private._send_rtcp_pli(source)


def ignore_packets(receiver: RTCRtpReceiver, *, seconds: float) -> None:
    """Throw away what arrives within the next seconds, as if the receiver had come later."""
    private: Any = receiver
    stock = private._handle_rtp_packet
    until = time.monotonic() + seconds

    async def handle(packet: Any, arrival_time_ms: int) -> None:
        if time.monotonic() >= until:
            await stock(packet, arrival_time_ms=arrival_time_ms)

    private._handle_rtp_packet = handle


def negotiated_codec(transceiver: RTCRtpTransceiver) -> str | None:
    """Name of the codec that is sent, as in SDP; `None` before negotiation."""
    codecs: list[Any] = transceiver._codecs
    return codecs[0].name if codecs else None


# -- encoders


def packetize_h264(data: bytes) -> list[bytes]:
    """RTP payloads (RFC 6184) of an H264 picture in Annex B form."""
    private: Any = aiortc.codecs.h264.H264Encoder
    payloads: list[bytes] = private._packetize(private._split_bitstream(data)) if data else []
    return payloads


def packetize_vp8(data: bytes, *, picture_id: int) -> list[bytes]:
    """RTP payloads (RFC 7741) of a VP8 picture; the id is below 2^15."""
    private: Any = aiortc.codecs.vpx.Vp8Encoder
    payloads: list[bytes] = private._packetize(data, picture_id)
    return payloads


def use_encoders(makers: Mapping[str, Callable[[], Encoder]]) -> None:
    """Have senders of this process make their encoders with these, by codec name as in SDP.

    Codecs that are not named keep aiortc's encoder.
    """

    def get_encoder(codec: Any) -> Encoder:
        make = makers.get(codec.name)
        return _stock_get_encoder(codec) if make is None else make()

    module: Any = aiortc.rtcrtpsender
    module.get_encoder = get_encoder


def use_encoder(sender: RTCRtpSender, encoder: Encoder) -> None:
    """Have one sender use this encoder instead of making its own."""
    private: Any = sender
    private._RTCRtpSender__encoder = encoder


def on_key_frame_request(sender: RTCRtpSender, callback: Callable[[], None]) -> None:
    """Have `callback` called where the receiver asks for a key frame (RFC 4585, RFC 5104).

    For tracks whose pictures are encoded elsewhere: aiortc would keep the wish for an encoder that
    it does not have.
    """
    private: Any = sender
    private._send_keyframe = callback


# -- ICE at the pod's address, under a user name that says which pod and port


class NoMediaPort(Exception):
    """All media ports of the pod are in use (a dead peer may hold one for 30 s)."""


class PodIce:
    """Where and under which names the peer connections of a pod gather candidates."""

    def __init__(self, *, pod_uid: str, host: str, ports: range) -> None:
        self.pod_uid = pod_uid
        self.host = host
        self.ports = ports
        self._connections: dict[int, _PodConnection] = {}

    def redirect(self, port: int, address: tuple[str, int]) -> bool:
        """Have the connection that listens on a media port send to another address from now on.

        False where nothing listens there, or where it has no path yet that could be replaced.
        """
        connection = self._connections.get(port)
        return connection is not None and connection.redirect(address)

    def enter(self, port: int, connection: "_PodConnection") -> None:
        """Remember who listens on a port."""
        self._connections[port] = connection

    def leave(self, connection: "_PodConnection") -> None:
        """Forget a connection that has ended."""
        self._connections = {
            port: item for port, item in self._connections.items() if item is not connection
        }

    def bind(self) -> socket.socket:
        """A UDP socket at the first free media port.

        Raises:
            NoMediaPort: none is free.
        """
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        for port in self.ports:
            sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            try:
                sock.bind((self.host, port))
            except OSError:
                sock.close()
                continue
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            return sock
        raise NoMediaPort(f"no free UDP port among {self.ports.start}-{self.ports.stop - 1}")


class _PodConnection(TakeoverConnection):
    """Gathers one host candidate: the socket that it was given."""

    def __init__(self, pod_ice: PodIce, sock: socket.socket) -> None:
        port = sock.getsockname()[1]
        username = make_ufrag(pod_ice.pod_uid, port=port)
        super().__init__(ice_controlling=False, local_username=username)
        self._pod_ice = pod_ice
        self._pod_socket: socket.socket | None = sock
        pod_ice.enter(port, self)

    async def get_component_candidates(
        self, component: int, addresses: list[str], timeout: int = 5
    ) -> list[Candidate]:
        sock, self._pod_socket = self._pod_socket, None
        if sock is None:
            return []
        host, port = sock.getsockname()[:2]
        loop = asyncio.get_running_loop()
        _, protocol = await loop.create_datagram_endpoint(lambda: HeardProtocol(self), sock=sock)
        protocol.local_candidate = Candidate(
            foundation=candidate_foundation("host", "udp", host),
            component=component,
            transport="udp",
            priority=candidate_priority(component, "host"),
            host=host,
            port=port,
            type="host",
        )
        self._protocols.append(protocol)
        return [protocol.local_candidate]

    async def close(self) -> None:
        if self._pod_socket is not None:
            self._pod_socket.close()
            self._pod_socket = None
        self._pod_ice.leave(self)
        await super().close()


class _PodIceGatherer(RTCIceGatherer):
    """A gatherer whose one candidate is the pod's address."""

    def __init__(self, pod_ice: PodIce) -> None:
        super().__init__(iceServers=[])
        self._connection = _PodConnection(pod_ice, pod_ice.bind())


_current: ContextVar[PodIce | None] = ContextVar("podstream_pod_ice", default=None)
_StockGatherer = RTCIceGatherer


def _make_gatherer(*args: Any, **kwargs: Any) -> RTCIceGatherer:
    pod_ice = _current.get()
    return _StockGatherer(*args, **kwargs) if pod_ice is None else _PodIceGatherer(pod_ice)


@contextlib.contextmanager
def gathering_at(pod_ice: PodIce) -> Iterator[None]:
    """Peer connections that are set up inside this block listen at the pod's media address.

    A peer connection makes its gatherer when it gets its first track or data channel, or a remote
    description.
    """
    module: Any = aiortc.rtcpeerconnection
    module.RTCIceGatherer = _make_gatherer
    token = _current.set(pod_ice)
    try:
        yield
    finally:
        _current.reset(token)


async def close_quietly(peer: RTCPeerConnection, *, timeout_s: float = 3.0) -> None:
    """Close a peer connection within bounded time; it never raises.

    aiortc joins its decoder's thread on the event loop and may wait for a peer that is gone.
    """
    with contextlib.suppress(Exception):
        async with asyncio.timeout(timeout_s):
            await peer.close()
