"""Peers of an orchestrator for benchmarks: bare sockets, cheaper than what they measure."""

import selectors
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

_UPGRADE = (
    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_FRAME_ID = b'"frameId":'


def dial(port: int, path: str) -> socket.socket:
    """A WebSocket that is open."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=30)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(_UPGRADE.format(path=path).encode())
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += sock.recv(1)
    return sock


def frame(payload: bytes) -> bytes:
    """A client's text frame, masked with zeros."""
    size = len(payload)
    head = struct.pack("!BB", 0x81, 0x80 | size) if size < 126 else b""
    head = head or struct.pack("!BBH", 0x81, 0x80 | 126, size)
    return head + bytes(4) + payload


def boxes(sent_at: float, count: int) -> bytes:
    """`boundingBoxes` of so many boxes, about 125 bytes each, with its time as frameId."""
    box = (
        '{"boxId": 7, "rect": [0.123456, 0.234567, 0.345678, 0.456789],'
        ' "objectType": "person", "certainty": 0.987654}'
    )
    listed = ", ".join([box] * count)
    return frame(
        f'{{"type": "boundingBoxes", "frameId": {sent_at!r}, "boxes": [{listed}]}}'.encode()
    )


@dataclass
class Seen:
    """What the clients of a run have got, without the stuck one."""

    deliveries: int = 0
    latencies_ms: list[float] = field(default_factory=list)
    longest_gap_ms: float = 0.0
    """Between two deliveries to the same client."""


@dataclass
class _Client:
    rest: bytes = b""
    last_at: float | None = None


def run_clients(port: int, count: int, stuck: bool, pipe: Connection) -> None:
    """A process of clients. Says when all are open; answers "count" and, with all it saw, "end"."""
    idle = dial(port, "/client") if stuck else None
    chooser = selectors.DefaultSelector()
    for _ in range(count):
        sock = dial(port, "/client")
        sock.setblocking(False)
        chooser.register(sock, selectors.EVENT_READ, _Client())
    chooser.register(pipe.fileno(), selectors.EVENT_READ, None)
    pipe.send("open")
    seen = Seen()
    while True:
        for key, _ in chooser.select():
            if key.data is None:
                order = pipe.recv()
                pipe.send(seen.deliveries if order == "count" else seen)
                if order == "end":
                    return
                if order == "clear":
                    seen = Seen()
                continue
            with suppress(BlockingIOError):
                _read(key.fileobj, key.data, seen)  # type: ignore[arg-type]
    del idle


def _read(sock: socket.socket, client: _Client, seen: Seen) -> None:
    client.rest += sock.recv(1 << 18)
    now = time.monotonic()
    for payload in _frames(client):
        start = payload.find(_FRAME_ID)
        if start < 0:
            continue
        start += len(_FRAME_ID)
        seen.deliveries += 1
        seen.latencies_ms.append(1e3 * (now - float(payload[start : payload.index(b",", start)])))
        if client.last_at is not None:
            seen.longest_gap_ms = max(seen.longest_gap_ms, 1e3 * (now - client.last_at))
        client.last_at = now


def _frames(client: _Client) -> Iterator[bytes]:
    """Whole text frames; what is left stays for the next time."""
    data, at = client.rest, 0
    while len(data) - at >= 4:
        size, head = data[at + 1] & 0x7F, 2
        if size == 126:
            size, head = int.from_bytes(data[at + 2 : at + 4], "big"), 4
        if len(data) - at < head + size:
            break
        yield data[at + head : at + head + size]
        at += head + size
    client.rest = data[at:]
