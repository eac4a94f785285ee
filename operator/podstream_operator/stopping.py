"""How this process is told to stop while kopf, which listens for that later, does not run yet."""

import asyncio
import signal
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any


async def unless(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> bool:
    """Wait for the end of a work; `False` where `stop` is set first, which cancels it."""
    task = asyncio.create_task(work)
    told = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([task, told], return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        return not stop.is_set()
    finally:
        task.cancel()
        told.cancel()
        await asyncio.gather(task, told, return_exceptions=True)


@contextmanager
def stopped_by_signals(stop: asyncio.Event) -> Iterator[None]:
    """Set `stop` on SIGTERM and SIGINT, which process 1 ignores otherwise; kopf does so later."""
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)
    if threading.current_thread() is threading.main_thread():
        for number in signals:
            loop.add_signal_handler(number, stop.set)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number in signals:
                loop.remove_signal_handler(number)
