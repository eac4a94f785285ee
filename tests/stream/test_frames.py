"""Bytes into frames, whatever pieces they come in."""

import socket
from collections.abc import Iterator

import numpy as np
import pytest

from podstream_workloads.stream.frames import Frame, FrameBuffer

WIDTH, HEIGHT = 8, 4


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    left, right = socket.socketpair()
    with left, right:
        left.setblocking(False)
        yield left, right


def numbered(number: int) -> Frame:
    rng = np.random.default_rng(number)
    return rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


@pytest.mark.parametrize("piece", [1, 7, 96, 97, 1000])
def test_frames_come_whole_in_whatever_pieces(
    pair: tuple[socket.socket, socket.socket], piece: int
) -> None:
    inner, outer = pair
    buffer = FrameBuffer(WIDTH, HEIGHT)
    got: list[Frame] = []
    data = b"".join(numbered(number).tobytes() for number in range(5))
    for start in range(0, len(data), piece):
        outer.sendall(data[start : start + piece])
        while True:
            try:
                buffer.receive(inner, on_frame=lambda frame: got.append(frame.copy()))
            except BlockingIOError:
                break
    assert len(got) == 5
    for number, frame in enumerate(got):
        np.testing.assert_array_equal(frame, numbered(number))
    assert buffer.filled == 0


def test_end_within_a_frame_says_how_far_it_came(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    inner, outer = pair
    buffer = FrameBuffer(WIDTH, HEIGHT)
    got: list[Frame] = []
    outer.sendall(b"x" * (buffer.size + 10))
    outer.shutdown(socket.SHUT_WR)
    while buffer.receive(inner, on_frame=got.append):
        pass
    assert (len(got), buffer.filled) == (1, 10)
