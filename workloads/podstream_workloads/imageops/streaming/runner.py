"""Keeps the process that applies operations to the stream's frames, and counts what it says."""

import asyncio
import contextlib
import logging
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from pathlib import Path
from typing import Final

from podstream_core.api import ImageStreamResults
from podstream_workloads.imageops.statistics import Statistics
from podstream_workloads.imageops.streaming.chain import Chain

logger = logging.getLogger(__name__)

_MODULE: Final = "podstream_workloads.imageops.streaming.worker"
_MOST_CRASHES: Final = 3
"""In a row without a frame: then it is not the frame's fault, and it will not do better."""
_END_S: Final = 1.5
"""For the frame in work and the last picture; the agent gives a workload 3 s to end."""


class StreamOperations:
    """One process at a time, from `start` to `close` or to the stream's end."""

    def __init__(
        self,
        chain: Chain,
        *,
        frames: Path,
        size: tuple[int, int],
        picture: Path,
        on_ready: Callable[[], None],
        on_change: Callable[[], None],
        on_failure: Callable[[str], None],
    ) -> None:
        """Prepare; all calls come on the event loop.

        Args:
            chain: what is done.
            frames: unix socket of the stream's frames.
            size: width and height of these, pixels.
            picture: where the last result is written, as PNG.
            on_ready: called once the first frame can come.
            on_change: called when there are new figures.
            on_failure: told, once, that no more frames are worked on, and why.
        """
        self._chain = chain
        self._command = [
            *(sys.executable, "-m", _MODULE, str(frames), str(picture)),
            *(str(side) for side in size),
            *chain.texts,
        ]
        self._on_ready = on_ready
        self._on_change = on_change
        self._on_failure = on_failure
        self._statistics = Statistics()
        self._process: Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_closed = False
        self._newest = self._failed = self._restarts = 0

    @property
    def frames(self) -> int:
        """Results so far."""
        return self._statistics.results().calls

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run(), name="stream-operations")

    def kill(self) -> None:
        """End the process at once; another one goes on unless this is closed."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def close(self) -> None:
        """Let the process finish its frame and write the picture; nothing of it is left."""
        self._is_closed = True
        task = self._task
        if task is None:
            return
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
        await asyncio.wait([task], timeout=_END_S)
        self.kill()
        await asyncio.wait([task], timeout=_END_S)

    def results(self) -> ImageStreamResults:
        """The figures so far."""
        found = self._statistics.results()
        return ImageStreamResults(
            frames=found.calls,
            dropped=self._newest - found.calls - self._failed,
            failed=self._failed,
            restarts=self._restarts,
            width=self._chain.width,
            height=self._chain.height,
            latency_ms=found.latency_ms,
        )

    async def _run(self) -> None:
        try:
            await self._keep_running()
        except (OSError, ValueError) as error:
            self.kill()
            logger.exception("the stream's operations broke off")
            if not self._has_ended():
                self._on_failure(f"their process cannot be followed: {error}")

    async def _keep_running(self) -> None:
        crashes = 0
        while crashes < _MOST_CRASHES and not self._has_ended():
            before = self._newest
            process = await asyncio.create_subprocess_exec(*self._command, stdout=PIPE)
            self._process = process
            if self._has_ended():  # while it was being started
                self.kill()
            await self._follow(process)
            code = await process.wait()
            if self._has_ended() or code == 0:
                return
            crashes = 1 if self._newest > before else crashes + 1
            self._restarts += 1
            logger.error(
                "the process of the stream's operations has ended with %d",
                code,
                extra={"in_a_row": crashes},
            )
        if not self._has_ended():
            self._on_failure(f"their process has ended {crashes} times in a row without a frame")

    def _has_ended(self) -> bool:
        """Whether `close` was called, which may be while anything here waits."""
        return self._is_closed

    async def _follow(self, process: Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            number, _, said = line.decode().partition(" ")
            if not said:
                self._on_ready()
                continue
            self._newest = int(number)
            if said == "failed\n":
                self._failed += 1
            else:
                self._statistics.answered(
                    operations=(), bytes_in=0, bytes_out=0, pixels=0, seconds=float(said) / 1000
                )
            self._on_change()
