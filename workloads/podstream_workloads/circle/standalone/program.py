"""What both programs are: something that runs until it is told to stop."""

import asyncio
import contextlib
import signal
from abc import ABC, abstractmethod

from podstream_workloads.circle.standalone.display import Window


class Program(ABC):
    """A program with a clean end."""

    @abstractmethod
    async def run(self) -> int:
        """Work until there is nothing left to do; the exit code."""

    @abstractmethod
    async def shutdown(self) -> None:
        """Give back sockets and processes; called once after `run`, however it ended."""


def run_program(program: Program, *, window: Window | None) -> int:
    """Run until the end, SIGINT or SIGTERM; the exit code.

    Args:
        program: What runs.
        window: Opened before the program starts; removed at its end.

    Raises:
        NoDisplay: the window does not open.
        WindowGone: the window was closed; the program has come to its clean end by then.
    """
    return asyncio.run(_run(program, window))


async def _run(program: Program, window: Window | None) -> int:
    task = asyncio.ensure_future(_play(program, window))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    try:
        with contextlib.suppress(asyncio.CancelledError):
            return await task
        return 0
    finally:
        await program.shutdown()
        if window is not None:
            await window.close()


async def _play(program: Program, window: Window | None) -> int:
    if window is None:
        return await program.run()
    await window.open()
    playing = asyncio.ensure_future(program.run())
    showing = asyncio.ensure_future(window.run())
    try:
        await asyncio.wait({playing, showing}, return_when=asyncio.FIRST_COMPLETED)
        if showing.done():
            showing.result()
        return playing.result()
    finally:
        for task in (playing, showing):
            task.cancel()
        await asyncio.wait({playing, showing})
