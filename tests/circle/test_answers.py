"""What a client of the TCP signalling may say to an offer, and how it is let go."""

import asyncio
import json
import socket
import uuid
from pathlib import Path

import pytest

from podstream_core.agentapi import Protocol
from podstream_core.api import Circle, SessionSpec
from podstream_workloads.agent import Connection
from podstream_workloads.circle.standalone.server import _Alone
from podstream_workloads.circle.workload import CircleWorkload
from podstream_workloads.media import aiortc_private

pytestmark = pytest.mark.media

_HEAD = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n"
_ICE = "a=ice-ufrag:abcd1234\r\na=ice-pwd:" + "p" * 22 + "\r\n"
_SCTP = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:1\r\n" + _ICE


def _message(kind: str, sdp: str) -> bytes:
    return json.dumps({"sdp": sdp, "type": kind}).encode()


def _video(more: str, *, formats: str = "97") -> str:
    return f"m=video 9 UDP/TLS/RTP/SAVPF {formats}\r\na=mid:0\r\n{more}{_ICE}"


class _Noting(_Alone):
    """Notes why the client was let go."""

    reason = ""

    def lost(self, connection_id: str, *, reason: str = "") -> None:
        self.reason = reason
        super().lost(connection_id, reason=reason)


@pytest.fixture(autouse=True)
def _marker_release() -> None:
    aiortc_private.install_marker_release()


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        pytest.param(b"no json", "not JSON", id="no json"),
        pytest.param(b"[" * 60_000, "not JSON", id="deep arrays"),
        pytest.param(b"[]", "not a JSON object", id="an array"),
        pytest.param(_message("answer", ""), "cannot be used", id="nothing"),
        pytest.param(_message("answer", _HEAD + "m=video\r\n"), "cannot be used", id="cut m line"),
        pytest.param(
            _message("answer", _HEAD + _video("", formats="x") + _SCTP),
            "cannot be used",
            id="payload type is a word",
        ),
        pytest.param(
            _message("answer", _HEAD + _video("a=rtpmap:97 VP8\r\n") + _SCTP),
            "cannot be used",
            id="no clock rate",
        ),
        pytest.param(
            _message("answer", _HEAD + _video("a=rtpmap:97 VP8/90000\r\n") + _SCTP),
            "cannot be used",
            id="no fingerprint",
        ),
        pytest.param(_message("offer", _HEAD), "cannot be used", id="an offer"),
    ],
)
async def test_answer_that_cannot_be_used_gives_the_place_back_at_once(
    said: bytes, reason: str, tmp_path: Path
) -> None:
    workload, context = CircleWorkload(), _Noting(tmp_path, host="127.0.0.1")
    await workload.configure(SessionSpec(circle=Circle(width=320, height=240)), context)
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    reader, writer = await asyncio.open_connection(sock=theirs)
    try:
        connection = Connection(id=uuid.uuid4().hex, role="player", protocol=Protocol.SIGNALLING)
        await workload.connect_stream(connection, sock=ours)
        async with asyncio.timeout(5):
            assert json.loads(await reader.readline())["type"] == "offer"
            writer.write(said + b"\n")
            await context.over.wait()
            assert json.loads(await reader.readline()) == {"type": "bye"}
        assert reason in context.reason
        assert not workload._seats
    finally:
        writer.close()
        await workload.drain()
