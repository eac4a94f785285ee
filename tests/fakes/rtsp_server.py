"""A camera: a small RTSP server (RFC 2326) that sends H.264 (RFC 6184) over the one connection.

It knows OPTIONS, DESCRIBE, SETUP with interleaved channels, PLAY and TEARDOWN, and can misbehave.
"""

import base64
import fractions
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import av
import numpy as np

WIDTH, HEIGHT, FPS = 96, 64, 50
_CLOCK = 90_000
_SDP = (
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n"
    "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
    "a=fmtp:96 packetization-mode=1\r\na=control:track0\r\n"
)


@dataclass
class Camera:
    """What is asked of it, and how it behaves."""

    frames_per_connection: int = 1_000_000
    """Then it closes the connection."""
    silent_after: int | None = None
    """Frames after which it stays connected and says nothing."""
    password: str | None = None
    """Of the user `viewer`."""
    host: str = "127.0.0.1"
    """Where it listens; `0.0.0.0` in a pod of its own."""
    port: int = 0
    """0: one that is free."""
    connections: int = 0
    requests: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._over = threading.Event()
        self._listening = socket.create_server((self.host, self.port))
        self.port = self._listening.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> "Camera":
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for thread in self._threads:
            thread.join(20)

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                sock, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        with sock:
            sock.settimeout(0.2)
            try:
                self._answer(sock)
            except OSError:
                return  # the client has left

    def _answer(self, sock: socket.socket) -> None:
        for request in self._requests(sock):
            method, url = request.split(" ", 2)[:2]
            self.requests.append(method)
            sequence = re.search(r"CSeq: *(\d+)", request, re.IGNORECASE)
            assert sequence is not None
            status, headers, body = self._reply(method, url, request)
            head = [f"RTSP/1.0 {status}", f"CSeq: {sequence[1]}", *headers]
            if body:
                head += ["Content-Type: application/sdp", f"Content-Length: {len(body)}"]
            sock.sendall(("\r\n".join(head) + "\r\n\r\n" + body).encode())
            if method == "PLAY":
                self._play(sock)
                return

    def _reply(self, method: str, url: str, request: str) -> tuple[str, list[str], str]:
        if method == "OPTIONS":
            return "200 OK", ["Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN"], ""
        if self.password is not None:
            word = base64.b64encode(f"viewer:{self.password}".encode()).decode()
            if f"Authorization: Basic {word}" not in request:
                return "401 Unauthorized", ['WWW-Authenticate: Basic realm="camera"'], ""
        if "/live" not in url:
            return "404 Not Found", [], ""
        if method == "DESCRIBE":
            return "200 OK", [f"Content-Base: {url}/"], _SDP
        if method == "SETUP":
            assert "interleaved=0-1" in request
            return "200 OK", ["Transport: RTP/AVP/TCP;interleaved=0-1", "Session: 1"], ""
        return "200 OK", ["Session: 1"], ""

    def _requests(self, sock: socket.socket) -> Iterator[str]:
        kept = b""
        while not self._over.is_set():
            try:
                data = sock.recv(4096)
            except TimeoutError:
                continue
            if not data:
                return
            kept += data
            while b"\r\n\r\n" in kept:
                request, kept = kept.split(b"\r\n\r\n", 1)
                yield request.decode()

    def _play(self, sock: socket.socket) -> None:
        begun, sequence = time.monotonic(), 0
        for number, units in enumerate(access_units()):
            if number == self.silent_after:
                self._over.wait()
            if number == self.frames_per_connection:
                return
            if self._over.wait(max(begun + number / FPS - time.monotonic(), 0)):
                return
            for index, unit in enumerate(units):
                marker = 0x80 if index == len(units) - 1 else 0
                stamp = number * _CLOCK // FPS
                packet = struct.pack("!BBHII", 0x80, marker | 96, sequence & 0xFFFF, stamp, 1)
                packet += unit
                sock.sendall(struct.pack("!cBH", b"$", 0, len(packet)) + packet)
                sequence += 1


def access_units() -> Iterator[list[bytes]]:
    """NAL units of one picture after the other; each fits into a packet."""
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    encoder.time_base = fractions.Fraction(1, FPS)
    encoder.gop_size = 10
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency"}
    number = 0
    while True:
        grey = np.full((HEIGHT, WIDTH, 3), 16 + number * 37 % 200, np.uint8)
        picture = av.VideoFrame.from_ndarray(grey, format="bgr24")
        picture.pts = number
        for packet in encoder.encode(picture):
            yield [unit for unit in re.split(rb"\x00\x00\x00?\x01", bytes(packet)) if unit]
        number += 1
