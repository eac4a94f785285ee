"""`view --terminal`: pictures as half blocks, on a real pseudo-terminal that is left as it was."""

import base64
import fcntl
import http.server
import io
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from kubectl.fake_api import FakeApi, invoke, session_body
from podstream_kubectl.errors import ExitCode
from podstream_kubectl.terminal.blocks import HALF, draw, fit
from podstream_kubectl.terminal.pictures import BrokenPictures, Newest, split

_CHILD = """
import os, signal, sys
# A shell that starts tests in the background has its children ignore this one.
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path[:0] = {path!r}
from podstream_kubectl.access import read_from_router
from podstream_kubectl.terminal import play
try:
    count = play(read_from_router({url!r}, token='look'), title='lab/camera')
except KeyboardInterrupt:
    sys.exit(130)
print('shown', count)
"""
_ROOT = Path(__file__).parents[2]


def jpeg(color: tuple[int, int, int], *, size: tuple[int, int] = (32, 24)) -> bytes:
    """A picture of one colour, RGB."""
    encoder: Any = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height = size
    encoder.pix_fmt, encoder.time_base = "yuvj420p", Fraction(1, 25)
    pixels = np.full((size[1], size[0], 3), color, np.uint8)
    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuvj420p")
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])


def part(picture: bytes) -> bytes:
    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
    return head.encode() + picture + b"\r\n"


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_pictures_are_split_in_whatever_pieces_they_come(step: int) -> None:
    body = part(b"one") + part(b"two\r\n\r\nstill two") + part(b"three")
    pieces = [body[at : at + step] for at in range(0, len(body), step)]
    assert list(split(pieces)) == [b"one", b"two\r\n\r\nstill two", b"three"]


@pytest.mark.parametrize(
    "body",
    [b"<html>\r\n\r\nno", b"x" * 5000, b"Content-Length: 999999999999\r\n\r\n"],
    ids=["a page", "no head", "too long"],
)
def test_what_is_no_stream_of_pictures_is_refused(body: bytes) -> None:
    with pytest.raises(BrokenPictures):
        list(split([body]))


def test_a_slow_terminal_gets_the_newest_picture() -> None:
    asked = threading.Event()

    def chunks() -> Iterator[bytes]:
        yield b"".join(part(str(number).encode()) for number in range(50))
        asked.wait(10)
        yield part(b"last")

    newest = Newest(chunks())
    newest.start()
    deadline = time.monotonic() + 10
    while newest._picture != b"49" and time.monotonic() < deadline:
        time.sleep(0.01)
    assert newest.take(timeout_s=5) == b"49"
    asked.set()
    assert newest.take(timeout_s=5) == b"last"
    with pytest.raises(StopIteration):
        newest.take(timeout_s=5)


@pytest.mark.parametrize(
    ("size", "columns", "lines", "expected"),
    [
        ((640, 480), 80, 24, (64, 48)),
        ((640, 480), 40, 100, (40, 30)),
        ((100, 1000), 80, 24, (5, 48)),
        ((4000, 10), 80, 24, (80, 2)),
    ],
)
def test_pictures_keep_their_shape(
    size: tuple[int, int], columns: int, lines: int, expected: tuple[int, int]
) -> None:
    assert fit(size, columns=columns, lines=lines) == expected


def test_a_character_has_the_upper_pixel_before_the_lower() -> None:
    rows = [bytes([1, 2, 3, 9, 9, 9]) + b"pad", bytes([4, 5, 6, 9, 9, 9]) + b"pad"]
    text = draw(b"".join(rows), width=2, height=2, stride=9)
    first, second, _ = text.split(HALF)
    assert first.endswith("\x1b[38;2;1;2;3m\x1b[48;2;4;5;6m")
    assert second == "\x1b[38;2;9;9;9m\x1b[48;2;9;9;9m"


@contextmanager
def camera(*pictures: bytes, forever: bool) -> Iterator[tuple[str, list[str | None]]]:
    """A router with one stream, and the tokens that it was shown."""
    over = threading.Event()
    tokens: list[str | None] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            tokens.append(self.headers["Authorization"])
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            while not over.wait(0.02):
                for picture in pictures:
                    try:
                        self.wfile.write(part(picture))
                    except OSError:
                        return
                if not forever:
                    return

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/s/lab/camera/mjpeg", tokens
        finally:
            over.set()
            server.shutdown()


class Terminal:
    """A pseudo-terminal on which the player runs."""

    def __init__(self, url: str) -> None:
        self._main, self._side = pty.openpty()
        self.resize(20, 10)
        self.before = termios.tcgetattr(self._side)
        path = [str(_ROOT / "operator"), str(_ROOT / "workloads")]
        self.process = subprocess.Popen(
            [sys.executable, "-c", _CHILD.format(path=path, url=url)],
            stdin=self._side,
            stdout=self._side,
            stderr=self._side,
            start_new_session=True,
        )
        self.seen = ""

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(10)
        os.close(self._main)
        os.close(self._side)

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._side, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def press(self, key: bytes) -> None:
        os.write(self._main, key)

    def until(self, pattern: str) -> None:
        """Read what is drawn until it has a pattern."""
        deadline = time.monotonic() + 30
        while not re.search(pattern, self.seen, re.DOTALL):
            assert time.monotonic() < deadline, f"no {pattern!r} in {self.seen[-2000:]!r}"
            if select.select([self._main], [], [], 0.2)[0]:
                self.seen += os.read(self._main, 65536).decode(errors="replace")

    def end(self) -> int:
        """Drain until the player has ended; its status."""
        self.until(r"\x1b\[\?1049l")
        status = self.process.wait(20)
        assert termios.tcgetattr(self._side) == self.before
        return status


RED, BLUE = jpeg((254, 0, 0)), jpeg((0, 0, 254))
_REDDISH = r"\x1b\[38;2;2[45]\d;\d;\dm"


def test_video_is_drawn_in_colour_until_q() -> None:
    with camera(RED, forever=True) as (url, tokens), Terminal(url) as terminal:
        terminal.until(_REDDISH)
        terminal.until("lab/camera  32x24")
        terminal.press(b"q")
        assert terminal.end() == 0
        terminal.until(r"shown [1-9]")
    assert tokens == ["Bearer look"]


def test_video_follows_the_terminals_size() -> None:
    with camera(RED, forever=True) as (url, _), Terminal(url) as terminal:
        terminal.until(r"\x1b\[10;1H")
        terminal.resize(40, 20)
        terminal.until(r"\x1b\[2J.*\x1b\[20;1H")
        terminal.press(b"q")
        terminal.end()


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_terminal_is_given_back_when_the_player_is_interrupted(ending: signal.Signals) -> None:
    with camera(RED, forever=True) as (url, _), Terminal(url) as terminal:
        terminal.until(_REDDISH)
        terminal.process.send_signal(ending)
        assert terminal.end() == 130


def test_player_ends_with_the_stream() -> None:
    with camera(BLUE, forever=False) as (url, _), Terminal(url) as terminal:
        assert terminal.end() == 0


def camera_session(**changes: Any) -> dict[str, Any]:
    return session_body(
        "camera",
        spec={"stream": {}},
        phase="Connected",
        access={"secretName": "camera-access"},
        endpoints=[{"protocol": "MJPEG", "url": "http://h.example:8080/s/lab/camera/mjpeg"}],
        **changes,
    )


SECRET = {
    "kind": "Secret",
    "metadata": {"name": "camera-access", "namespace": "lab"},
    "data": {"viewToken": base64.b64encode(b"look").decode()},
}


def test_without_a_terminal_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    code, _, err = invoke(FakeApi(camera_session(), SECRET), "view", "camera", "--terminal")
    assert code is ExitCode.USAGE
    assert "do not redirect" in err


def test_without_a_decoder_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    code, _, err = invoke(FakeApi(camera_session(), SECRET), "view", "camera", "-t")
    assert code is ExitCode.USAGE
    assert "pip install 'podstream[media]'" in err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["view", "--terminal"], ExitCode.USAGE, "plays one session"),
        (["view", "ball", "--terminal"], ExitCode.REFUSED, "podstream-client --display"),
        (["view", "old", "--terminal"], ExitCode.REFUSED, "has ended"),
    ],
)
def test_what_cannot_be_played_is_refused(arguments: list[str], code: ExitCode, words: str) -> None:
    old = session_body("old", spec={"stream": {}}, phase="Completed")
    found, _, err = invoke(FakeApi(session_body(phase="Ready"), old), *arguments)
    assert found is code
    assert words in err
