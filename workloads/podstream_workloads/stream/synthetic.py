"""Frames that the pod draws itself, at a steady rate."""

import asyncio
from collections.abc import Callable

from podstream_workloads.stream.frames import Frame
from podstream_workloads.stream.pattern import pattern


async def draw(width: int, height: int, *, fps: int, on_frame: Callable[[Frame], bool]) -> None:
    """Draw frames until `on_frame` says that it was the last one.

    A pod that is too slow for the rate leaves moments out and keeps to the clock.

    Args:
        width: pixels.
        height: rows.
        fps: moments a second.
        on_frame: gets each frame on the event loop; whether it wants another one.
    """
    loop = asyncio.get_running_loop()
    frames = pattern(width, height)
    begun, moment = loop.time(), 0
    while True:
        frame = await asyncio.to_thread(next, frames)
        late = int((loop.time() - begun) * fps)
        moment = max(moment + 1, late)
        if not on_frame(frame):
            return
        await asyncio.sleep(max(begun + moment / fps - loop.time(), 0.0))
