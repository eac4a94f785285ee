"""What both programs are: something that runs until it is told to stop."""

import asyncio
import contextlib
import signal
from abc import ABC, abstractmethod


class Program(ABC):
    """A program with a clean end."""

    @abstractmethod
    async def run(self) -> int:
        """Work until there is nothing left to do; the exit code."""

    @abstractmethod
    async def shutdown(self) -> None:
        """Give back sockets, processes and windows; called once after `run`, however it ended."""


def run_program(program: Program) -> int:
    """Run until the end, SIGINT or SIGTERM; the exit code."""
    return asyncio.run(_run(program))


async def _run(program: Program) -> int:
    task = asyncio.ensure_future(program.run())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    try:
        with contextlib.suppress(asyncio.CancelledError):
            return await task
        return 0
    finally:
        await program.shutdown()
