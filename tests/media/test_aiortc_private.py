"""Fails when a private name of aiortc or aioice goes that podstream relies on."""

import asyncio
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import aioice.ice
import aiortc.codecs.h264
import aiortc.codecs.vpx
import aiortc.jitterbuffer
import aiortc.rtcrtpreceiver
import aiortc.rtcrtpsender
import pytest
from aiortc import (
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpCodecParameters,
    VideoStreamTrack,
)
from aiortc.rtp import RtpPacket

from podstream_core.ports import MEDIA_PORT_FIRST
from podstream_core.ufrag import parse_ufrag, pod_digest
from podstream_workloads.media import aiortc_private
from podstream_workloads.media.encoders.h264 import H264Encoder
from podstream_workloads.media.encoders.settings import encoder_settings


def _packet(number: int, timestamp: int, *, marker: int) -> RtpPacket:
    packet = RtpPacket(sequence_number=number, timestamp=timestamp, marker=marker, payload_type=97)
    private: Any = packet
    private._data = bytes([number])
    return packet


@pytest.fixture
def buffer(monkeypatch: pytest.MonkeyPatch) -> Any:
    module: Any = aiortc.rtcrtpreceiver
    monkeypatch.setattr(module, "JitterBuffer", module.JitterBuffer)
    receiver: Any = module.RTCRtpReceiver
    monkeypatch.setattr(receiver, "_handle_rtp_packet", receiver._handle_rtp_packet)
    aiortc_private.install_marker_release()
    return module.JitterBuffer(capacity=16, is_video=True)


def test_a_frame_leaves_with_its_marked_packet(buffer: Any) -> None:
    assert buffer.add(_packet(1, 100, marker=0)) == (False, None)
    _, frame = buffer.add(_packet(2, 100, marker=1))
    assert (frame.data, frame.timestamp) == (b"\x01\x02", 100)


def test_a_gap_holds_the_frame_back_until_it_is_filled(buffer: Any) -> None:
    buffer.add(_packet(1, 100, marker=0))
    assert buffer.add(_packet(3, 100, marker=1))[1] is None
    _, frame = buffer.add(_packet(2, 100, marker=0))
    assert frame.data == b"\x01\x02\x03"


def test_a_lost_marker_falls_back_to_the_next_timestamp(buffer: Any) -> None:
    buffer.add(_packet(1, 100, marker=0))
    _, frame = buffer.add(_packet(2, 200, marker=0))
    assert (frame.data, frame.timestamp) == (b"\x01", 100)


def test_frames_behind_a_filled_gap_all_leave(buffer: Any) -> None:
    buffer.add(_packet(0, 0, marker=1))
    for number in range(2, 8):
        assert buffer.add(_packet(number, 3000 * number, marker=1))[1] is None
    assert buffer.add(_packet(1, 3000, marker=1))[1].timestamp == 3000
    left = []
    while (popped := buffer.pop_complete()) is not None:
        left.append((popped[0], popped[1].timestamp // 3000))
    assert left == [(97, number) for number in range(2, 8)]


class Decoded:
    """A receiver's queue of frames for its decoder, which does not run."""

    def __init__(self, receiver: Any) -> None:
        self._receiver = receiver
        receiver._RTCRtpReceiver__decoder_thread = object()
        receiver._RTCRtpReceiver__codecs[97] = RTCRtpCodecParameters(
            mimeType="video/VP8", clockRate=90_000, payloadType=97
        )

    async def take(self, number: int) -> None:
        # A VP8 payload descriptor of one byte (RFC 7741), then a byte of picture.
        packet = _packet(number, 3000 * number, marker=1)
        packet.ssrc, packet.payload = 1, b"\x10" + bytes([number])
        await self._receiver._handle_rtp_packet(packet, arrival_time_ms=0)

    def frames(self) -> list[int]:
        queue = self._receiver._RTCRtpReceiver__decoder_queue
        return [queue.get_nowait()[1].timestamp // 3000 for _ in range(queue.qsize())]


class _NoTransport:
    """Where feedback goes that nobody reads."""

    state = "connected"

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    async def _send_rtp(self, data: bytes) -> None:
        self.sent.append(data)


async def _decoded_after_a_late_packet() -> list[int]:
    receiver = aiortc.RTCRtpReceiver("video", _NoTransport())  # type: ignore[arg-type]
    decoded = Decoded(receiver)
    for number in (0, 2, 3, 4, 5, 1, 6):
        await decoded.take(number)
    return decoded.frames()


@pytest.mark.usefixtures("buffer")
async def test_a_late_packet_leaves_no_backlog_in_the_receiver() -> None:
    assert await _decoded_after_a_late_packet() == [0, 1, 2, 3, 4, 5, 6]


@pytest.mark.usefixtures("buffer")
async def test_what_a_slow_decoder_has_not_seen_is_thrown_away_after_a_second() -> None:
    transport = _NoTransport()
    receiver: Any = aiortc.RTCRtpReceiver("video", transport)  # type: ignore[arg-type]
    receiver._set_rtcp_ssrc(7)
    decoded = Decoded(receiver)
    for number in range(31):
        await decoded.take(number)
    assert transport.sent == []
    await decoded.take(31)
    assert decoded.frames() == []
    assert [packet[1] for packet in transport.sent] == [206]  # payload-specific feedback: a PLI
    await decoded.take(32)
    assert decoded.frames() == []


@pytest.mark.usefixtures("buffer")
async def test_lost_packets_are_asked_for_again_while_they_are_waited_for() -> None:
    transport = _NoTransport()
    receiver: Any = aiortc.RTCRtpReceiver("video", transport)  # type: ignore[arg-type]
    receiver._set_rtcp_ssrc(7)
    await aiortc_private.ask_again(receiver)
    decoded = Decoded(receiver)
    for number in (0, 2, 3):
        await decoded.take(number)
    assert aiortc_private.packets_received(receiver) == 3
    transport.sent.clear()
    await aiortc_private.ask_again(receiver)
    await aiortc_private.ask_again(receiver)
    assert [(packet[1], packet[8:14]) for packet in transport.sent] == [
        (205, bytes([0, 0, 0, 1, 0, 1])),  # generic NACK: SSRC 1, packet 1
    ] * 2
    await decoded.take(1)
    transport.sent.clear()
    await aiortc_private.ask_again(receiver)
    assert transport.sent == []


def test_both_ends_can_be_told_how_many_packets_may_be_repeated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    modules: list[Any] = [aiortc.rtcrtpsender, aiortc.rtcrtpreceiver]
    for module in modules:
        monkeypatch.setattr(module, "RTP_HISTORY_SIZE", module.RTP_HISTORY_SIZE)
    assert aiortc_private.HISTORY % modules[0].RTP_HISTORY_SIZE == 0
    aiortc_private.keep_history()
    generator = modules[1].NackGenerator()
    for number in (0, 2, 500):
        generator.add(_numbered(number))
    assert 1 in generator.missing
    sender = modules[0].RTCRtpSender
    assert "RTP_HISTORY_SIZE" in sender._retransmit.__code__.co_names
    assert "RTP_HISTORY_SIZE" in sender._run_rtp.__code__.co_names


def _numbered(number: int) -> RtpPacket:
    return RtpPacket(sequence_number=number, timestamp=0, marker=1, payload_type=97)


def test_stock_receiver_would_keep_the_frames_back() -> None:
    """The reason for the replacement; when this fails, aiortc gives out all frames itself.

    In a process of its own: another test of this one may have installed the replacement for good.
    """
    program = (
        "import asyncio; from media import test_aiortc_private as module; "
        "print(asyncio.run(module._decoded_after_a_late_packet()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.strip() == "[0, 1]"


def test_names_of_ice_that_the_takeover_uses() -> None:
    """Behaviour is tested in test_takeover; here a name that goes is named."""
    connection = aioice.ice.Connection(ice_controlling=False)
    for name in ("_nominated", "_check_list", "_remote_candidates", "_protocols"):
        assert hasattr(connection, name), name
    for name in ("check_incoming", "check_complete", "sort_check_list"):
        assert hasattr(connection, name), name
    assert {"SUCCEEDED", "FAILED"} <= set(aioice.ice.CandidatePair.State.__members__)
    candidate = aioice.Candidate("1", 1, "udp", 1, "192.0.2.1", 9, "prflx")
    assert candidate._network_host == "192.0.2.1"


def test_stock_buffer_would_be_one_frame_late() -> None:
    """The reason for the replacement; when this fails, aiortc honours the marker itself."""
    stock = aiortc.jitterbuffer.JitterBuffer(capacity=16, is_video=True)
    assert stock.add(_packet(1, 100, marker=1))[1] is None


@pytest.mark.media
async def test_timestamps_codec_and_resending_over_a_real_connection() -> None:
    ice = aiortc_private.PodIce(
        pod_uid="pod", host="127.0.0.1", ports=range(MEDIA_PORT_FIRST, MEDIA_PORT_FIRST + 16)
    )
    configuration = RTCConfiguration(iceServers=[])
    sending, receiving = RTCPeerConnection(configuration), RTCPeerConnection(configuration)
    with aiortc_private.gathering_at(ice):
        sender = sending.addTrack(VideoStreamTrack())
        await sending.setLocalDescription(await sending.createOffer())
    with aiortc_private.gathering_at(ice):
        await receiving.setRemoteDescription(sending.localDescription)
        await receiving.setLocalDescription(await receiving.createAnswer())
    try:
        first, second = sending.localDescription.sdp, receiving.localDescription.sdp
        ports = set()
        for sdp in (first, second):
            lines = sdp.splitlines()
            ufrag = next(line[12:] for line in lines if line.startswith("a=ice-ufrag:"))
            candidates = [line.split() for line in lines if line.startswith("a=candidate:")]
            assert [words[4] for words in candidates] == ["127.0.0.1"]
            target = parse_ufrag(ufrag)
            assert target == (pod_digest("pod"), int(candidates[0][5]))
            ports.add(candidates[0][5])
        assert len(ports) == 2
        await sending.setRemoteDescription(receiving.localDescription)
        receiver = receiving.getReceivers()[0]
        async with asyncio.timeout(15):
            frame = await receiver.track.recv()
        origin = aiortc_private.sender_rtp_origin(sender, last_pts=0)
        assert frame.pts is not None
        received = aiortc_private.receiver_rtp_timestamp(receiver, frame.pts)
        assert origin is not None
        assert received is not None
        # The sender has moved on by a frame or two since.
        apart = (received - origin + (1 << 31)) % (1 << 32) - (1 << 31)
        assert abs(apart) < 90_000
        assert aiortc_private.negotiated_codec(sending.getTransceivers()[0]) == "VP8"
        await aiortc_private.resend_history(sender)
        await aiortc_private.request_key_frame(receiver)
    finally:
        await aiortc_private.close_quietly(sending)
        await aiortc_private.close_quietly(receiving)


async def test_the_next_free_port_is_taken_and_none_is_an_error() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        ice = aiortc_private.PodIce(pod_uid="pod", host="127.0.0.1", ports=range(port, port + 1))
        with pytest.raises(aiortc_private.NoMediaPort, match=str(port)):
            ice.bind()


def test_senders_ask_for_the_encoders_that_were_given(monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = aiortc.rtcrtpsender
    monkeypatch.setattr(module, "get_encoder", module.get_encoder)
    made = H264Encoder(encoder_settings(quality="Balanced", width=64, height=64, fps=30))
    aiortc_private.use_encoders({"H264": lambda: made})
    codecs = {
        name: RTCRtpCodecParameters(mimeType=f"video/{name}", clockRate=90000, payloadType=97)
        for name in ("H264", "VP8")
    }
    assert module.get_encoder(codecs["H264"]) is made
    assert type(module.get_encoder(codecs["VP8"])).__module__ == "aiortc.codecs.vpx"
    assert {"get_encoder", "target_bitrate"} <= set(
        module.RTCRtpSender._next_encoded_frame.__code__.co_names
        + module.RTCRtpSender._handle_rtcp_packet.__code__.co_names
    )


def test_pictures_are_cut_into_packets_that_aiortcs_receivers_put_together() -> None:
    nal = b"\x65" + bytes(range(256)) * 20
    payloads = aiortc_private.packetize_h264(b"\x00\x00\x00\x01" + nal)
    assert len(payloads) > 3
    assert max(len(payload) for payload in payloads) <= 1300
    joined = b"".join(aiortc.codecs.h264.h264_depayload(payload) for payload in payloads)
    assert joined == b"\x00\x00\x00\x01" + nal
    assert aiortc_private.packetize_h264(b"") == []
    payloads = aiortc_private.packetize_vp8(nal, picture_id=77)
    assert max(len(payload) for payload in payloads) <= 1300
    assert b"".join(aiortc.codecs.vpx.vp8_depayload(payload) for payload in payloads) == nal
