"""Frames of one process are read by others, the newest one at a time."""

import asyncio
import gc
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from podstream_workloads.sharing import FrameReader, FrameServer, Mark, SharedFrame
from podstream_workloads.sharing.messages import FrameMessage

SIZE = (32, 24)


def grey(value: int, size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    return np.full((size[1], size[0], 3), value, np.uint8)


class Stage:
    """A server on this loop, and readers in threads."""

    def __init__(self, path: Path) -> None:
        self.notes: list[str] = []
        self.path = path
        self.server = FrameServer(path, on_note=self.notes.append)
        self.sequence = 0

    def offer(self, frame: NDArray[np.uint8], mark: Mark | None = None) -> None:
        self.sequence += 1
        self.server.offer(frame, sequence=self.sequence, at=time.monotonic(), mark=mark)

    async def reader(self) -> FrameReader:
        count = self.server.readers
        made = await asyncio.to_thread(FrameReader.connect, self.path, timeout_s=10)
        await becomes(lambda: self.server.readers > count)
        return made

    async def next(self, reader: FrameReader) -> SharedFrame:
        found = await asyncio.wait_for(asyncio.to_thread(reader.next), 20)
        assert found is not None
        return found


def look_on(path: Path) -> "subprocess.Popen[bytes]":
    program = Path(__file__).with_name("lookers.py")
    command = [sys.executable, str(program), str(path)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)


async def becomes(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110 - the server has no event for it
            await asyncio.sleep(0.005)


@asynccontextmanager
async def stage(folder: Path) -> AsyncIterator[Stage]:
    made = Stage(folder / "frames")
    made.server.open()
    try:
        yield made
    finally:
        made.server.close()


async def test_a_frame_is_read_with_its_number_time_and_mark(tmp_path: Path) -> None:
    async with stage(tmp_path) as here:
        reader = await here.reader()
        rng = np.random.default_rng(1)
        picture = rng.integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8)
        before = time.monotonic()
        here.offer(picture, Mark(3000, 4_294_967_295))
        found = await here.next(reader)
        assert np.array_equal(found.image, picture)
        assert (found.sequence, found.mark) == (1, Mark(3000, 4_294_967_295))
        assert before <= found.at <= time.monotonic()
        here.offer(grey(1))
        assert (await here.next(reader)).mark is None
        here.offer(grey(2), Mark(-5, None))
        assert (await here.next(reader)).mark == Mark(-5, None)
        reader.close()


async def test_a_slow_reader_gets_the_newest_frame_and_counts_what_it_missed(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as here:
        slow, quick = await here.reader(), await here.reader()
        for value in range(1, 11):
            here.offer(grey(value))
            assert (await here.next(quick)).sequence == value
            if value == 3:
                assert (await here.next(slow)).sequence == 3
        last = await here.next(slow)
        assert (last.sequence, int(last.image[0, 0, 0])) == (10, 10)
        assert (slow.received, slow.dropped) == (10, 8)
        assert (quick.received, quick.dropped) == (10, 0)
        slow.close()
        quick.close()


async def test_a_frame_stays_as_it_was_while_it_is_read(tmp_path: Path) -> None:
    """Nobody writes into it, however many frames come meanwhile, and the reader cannot either."""
    async with stage(tmp_path) as here:
        slow, quick = await here.reader(), await here.reader()
        here.offer(grey(7))
        held = await here.next(slow)
        for value in range(100, 150):
            here.offer(grey(value))
            await here.next(quick)
        assert (held.image == 7).all()
        with pytest.raises(ValueError, match="read-only"):
            held.image[0, 0, 0] = 1
        slow.close()
        quick.close()


async def test_a_change_of_size_goes_on_without_a_break(tmp_path: Path) -> None:
    async with stage(tmp_path) as here:
        reader, late = await here.reader(), await here.reader()
        here.offer(grey(1))
        first = await here.next(late)
        for value, size in enumerate([SIZE, (640, 480), (16, 16), (641, 481)], start=2):
            here.offer(grey(value, size))
            found = await here.next(reader)
            assert found.image.shape == (size[1], size[0], 3)
            assert (found.image == value).all()
        assert (first.image == 1).all(), "its memory stays while somebody reads there"
        last = await here.next(late)
        assert last.image.shape == (481, 641, 3)
        assert late.dropped == 3
        reader.close()
        late.close()


async def test_a_reader_that_waits_is_told_of_the_next_frame(tmp_path: Path) -> None:
    async with stage(tmp_path) as here:
        reader = await here.reader()
        waiting = asyncio.create_task(here.next(reader))
        await asyncio.sleep(0)
        here.offer(grey(9))
        assert (await waiting).sequence == 1
        # Nobody has seen frames of a time without readers.
        reader.close()
        await becomes(lambda: here.server.readers == 0)
        here.offer(grey(10))
        late = await here.reader()
        waiting = asyncio.create_task(here.next(late))
        here.offer(grey(11))
        found = await waiting
        assert (found.sequence, int(found.image[0, 0, 0])) == (3, 11)
        assert late.dropped == 2
        late.close()


async def test_a_reader_that_dies_costs_nobody_a_frame(tmp_path: Path) -> None:
    async with stage(tmp_path) as here:
        dying = look_on(here.path)
        assert dying.stdin is not None
        assert dying.stdout is not None
        await becomes(lambda: here.server.readers == 1)
        other = await here.reader()
        here.offer(grey(1))
        dying.stdin.write(b"\n")
        said = await asyncio.wait_for(asyncio.to_thread(dying.stdout.readline), 20)
        assert said == f"1 {SIZE[0] * SIZE[1] * 3}\n".encode()
        assert (await here.next(other)).sequence == 1
        dying.kill()  # with a frame in its hands
        with dying:
            await asyncio.to_thread(dying.wait)
        for value in range(2, 40):
            here.offer(grey(value))
            found = await here.next(other)
            assert (found.sequence, int(found.image[0, 0, 0])) == (value, value)
        assert other.dropped == 0
        await becomes(lambda: here.server.readers == 1)
        other.close()


async def test_the_stream_s_end_ends_its_readers(tmp_path: Path) -> None:
    async with stage(tmp_path) as here:
        reader, closed = await here.reader(), await here.reader()
        waiting = asyncio.create_task(asyncio.to_thread(closed.next))
        closed.close()
        closed.close()
        assert await asyncio.wait_for(waiting, 20) is None
        waiting = asyncio.create_task(asyncio.to_thread(reader.next))
        await asyncio.sleep(0)
        here.server.close()
        assert await asyncio.wait_for(waiting, 20) is None
        reader.note("too late")
        assert await asyncio.to_thread(reader.next) is None
        reader.close()
        assert not here.path.exists()


async def test_a_reader_speaks_to_the_publisher(tmp_path: Path) -> None:
    async with stage(tmp_path) as here:
        reader = await here.reader()
        reader.note("1.5\t2.5\t3000")
        reader.note("ö" * 600)
        await becomes(lambda: len(here.notes) == 2)
        assert here.notes[0] == "1.5\t2.5\t3000"
        assert here.notes[1] == "ö" * 256
        reader.close()


async def test_nothing_is_left_of_a_session(tmp_path: Path) -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    async with stage(tmp_path):
        pass
    gc.collect()  # what earlier tests have left goes now, not between the two counts
    before = descriptors()
    async with stage(tmp_path) as here:
        readers = [await here.reader() for _ in range(3)]
        for size in (SIZE, (64, 48), (128, 96)):
            here.offer(grey(5, size))
            for reader in readers:
                await here.next(reader)
        for reader in readers:
            reader.close()
    # The thread that has read the last frame lets go of it a moment later.
    await becomes(lambda: descriptors() <= before)


def test_who_finds_no_stream_says_so(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        FrameReader.connect(tmp_path / "frames", timeout_s=0.05)


def test_a_message_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="bytes"):
        FrameMessage.unpack(b"short")
