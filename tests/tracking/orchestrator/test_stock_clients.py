"""Other WebSocket implementations than the server's own: python-websocket-client, as it comes."""

import asyncio
import json

import pytest
from websocket import WebSocket, create_connection

from podstream_workloads.tracking.orchestrator import OrchestratorSettings
from tracking.orchestrator.harness import serving, until
from tracking.orchestrator.keys import auth

PATIENCE_S = 60


def dial(port: int, path: str) -> WebSocket:
    return create_connection(f"ws://127.0.0.1:{port}{path}", timeout=PATIENCE_S)


def hang_up(socket: WebSocket) -> None:
    """Close the connection; after a closing message `close` leaves that undone."""
    socket.shutdown()  # type: ignore[no-untyped-call]


def talk(gate: WebSocket, page: WebSocket) -> list[str]:
    """A camera that is registered and a page; what the page reads."""
    page.send(json.dumps({"type": "setUsesImages", "usesImages": True}))
    read = []
    for size in (10, 100_000):  # frames with a short and a long header
        page.send(json.dumps({"type": "start", "cameraId": "gate", "image": "x" * size}))
        read.append(str(page.recv()))
        assert json.loads(gate.recv())["type"] == "start"
    gate.send('{"type":"boundingBoxes","frameId":5.0,"boxes":[]}')
    read.append(str(page.recv()))
    page.ping()
    page.send(json.dumps({"type": "stop", "objectId": 1}))
    read.append(str(page.recv()))
    for socket in (gate, page):
        socket.close()
        hang_up(socket)
    return read


async def test_a_camera_and_a_page_talk() -> None:
    async with serving(OrchestratorSettings(compat=True)) as server:
        gate = await asyncio.to_thread(dial, server.port, "/processor")
        page = await asyncio.to_thread(dial, server.port, "/client")
        await asyncio.to_thread(gate.send, '{"type":"identifier","id":"gate"}')
        await until(lambda: server.orchestrator.results().cameras == 1)
        assert await asyncio.to_thread(talk, gate, page) == [
            '{"type":"newObject","objectId":1,"image":"' + "x" * 10 + '"}',
            '{"type":"newObject","objectId":2,"image":"' + "x" * 100_000 + '"}',
            '{"type":"boundingBoxes","cameraId":"gate","frameId":5.0,"boxes":[]}',
            '{"type":"stop","objectId":1}',
        ]


@pytest.mark.parametrize(
    ("compat", "closing"),
    [
        pytest.param(False, b"\x11\x31authenticate first", id="strict says 4401"),
        pytest.param(True, b"", id="compat says nothing"),
    ],
)
async def test_a_stranger_is_closed(compat: bool, closing: bytes) -> None:
    def knock(port: int) -> tuple[int, bytes]:
        stranger = dial(port, "/client")
        try:
            stranger.send('{"type":"start"}')
            opcode, data = stranger.recv_data(control_frame=True)
            return opcode, bytes(data)
        finally:
            hang_up(stranger)

    async with serving(OrchestratorSettings(compat=compat, auth=auth())) as server:
        assert await asyncio.to_thread(knock, server.port) == (0x8, closing)


@pytest.mark.parametrize("path", ["/client", "/processor"])
async def test_a_plain_request_is_told_what_is_missing(path: str) -> None:
    async with serving() as server:
        status, text = await server.get(path)
        assert (status, "WebSocket" in text) == (400, True)
