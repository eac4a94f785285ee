"""Hands frames to the process that applies the operations, the newest one at a time."""

import asyncio
import contextlib
import logging
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import numpy as np

from podstream_workloads.media.latest import BoxClosed, LatestBox
from podstream_workloads.stream.frames import CHANNELS, Frame

if TYPE_CHECKING:  # it loads the image service's messages, which other streams need not
    from podstream_workloads.imageops.streaming.chain import Chain

logger = logging.getLogger(__name__)

_MOST_CRASHES: Final = 3
"""In a row without a frame: then it is not the frame's fault, and it will not do better."""


class Processor:
    """One slot in front, one process behind it. Used on one event loop.

    A frame that comes while the process works replaces the one that waits: who offers frames waits
    for nothing, and what comes out is never older than two frames and one job.
    """

    def __init__(
        self,
        chain: "Chain",
        *,
        size: tuple[int, int],
        on_frame: Callable[[Frame], None],
        on_failure: Callable[[str], None],
    ) -> None:
        """Prepare; the process is started with the first frame.

        Args:
            chain: what is done.
            size: width and height of the frames that are offered, pixels.
            on_frame: gets each result on the event loop.
            on_failure: told, once, that no more results will come.
        """
        self._chain = chain
        self._size = size
        self._on_frame = on_frame
        self._on_failure = on_failure
        self._box: LatestBox[Frame] = LatestBox()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="post-process")
        self._process: subprocess.Popen[bytes] | None = None
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self.frames = 0
        """Results so far."""

    def offer(self, frame: Frame) -> None:
        """Take a frame in the place of one that still waits; it is copied."""
        self._box.put(frame.copy())
        if self._task is None and not self._closed:
            self._task = asyncio.create_task(self._run(), name="post-process")

    async def close(self) -> None:
        """End the process; nothing of it is left."""
        self._closed = True
        self._box.close()
        self.kill()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        # Its read has ended with the process, so this waits for nothing.
        await asyncio.to_thread(self._thread.shutdown)
        self._reap()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        crashes = 0
        with contextlib.suppress(BoxClosed):
            while crashes < _MOST_CRASHES:
                frame = await self._box.get()
                try:
                    done = await loop.run_in_executor(self._thread, self._exchange, frame)
                except OSError as error:
                    if self._closed:
                        return
                    crashes += 1
                    logger.error("post-processing: %s", error, extra={"in_a_row": crashes})
                    continue
                crashes = 0
                self.frames += 1
                self._on_frame(done)
            self._closed = True
            self._on_failure(f"its process has ended {crashes} times in a row without a frame")

    def _exchange(self, frame: Frame) -> Frame:
        """One frame there and back. Runs in the thread.

        Raises:
            OSError: the process has ended.
        """
        if self._process is None:
            self._process = self._start()
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        chain = self._chain
        result = bytearray(chain.width * chain.height * CHANNELS)
        try:
            process.stdin.write(frame.data)
            process.stdin.flush()
            if process.stdout.readinto(result) != len(result):  # type: ignore[attr-defined]
                raise BrokenPipeError
        except (OSError, ValueError) as error:
            self._reap()
            raise OSError(f"its process has ended with {process.returncode}") from error
        return np.frombuffer(result, np.uint8).reshape(chain.height, chain.width, CHANNELS)

    def _start(self) -> "subprocess.Popen[bytes]":
        if self._closed:
            raise OSError("it is closed")
        width, height = self._size
        module = "podstream_workloads.stream.processing.worker"
        command = [sys.executable, "-m", module, str(width), str(height), *self._chain.texts]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def kill(self) -> None:
        """End the process; the next frame starts another one unless this is closed."""
        if self._process is not None:
            self._process.kill()

    def _reap(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        process.wait()
