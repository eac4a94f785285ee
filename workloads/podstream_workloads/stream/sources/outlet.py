"""Takes frames out of a thread that makes them, to the event loop, one at a time.

Decoders block, in their codec and on the network, so each source has a thread of its own. It is a
daemon: a read that hangs in FFmpeg ends by its own time limit and holds nobody up until then.
"""

import asyncio
import threading
import time
from collections.abc import Callable

from podstream_workloads.stream.frames import Frame

OnFrame = Callable[[Frame, int], bool]
"""Gets a frame and the bytes that it came as, on the event loop; whether it wants another one."""


class Outlet:
    """The thread's end: one slot, which the event loop empties."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, on_frame: OnFrame) -> None:
        self._loop = loop
        self._on_frame = on_frame
        self._stopped = threading.Event()
        self._taken = threading.Event()

    @property
    def is_open(self) -> bool:
        """Whether frames are wanted."""
        return not self._stopped.is_set()

    def put(self, frame: Frame, *, size: int = 0) -> bool:
        """Hand over a frame and wait until it is taken; whether another one is wanted.

        Args:
            frame: may be used again afterwards.
            size: bytes that it came as.
        """
        self._taken.clear()
        if self.is_open and self.tell(lambda: self._take(frame, size)):
            self._taken.wait()
        return self.is_open

    def tell(self, report: Callable[[], None]) -> bool:
        """Call something on the event loop; false where there is none any more."""
        try:
            self._loop.call_soon_threadsafe(report)
        except RuntimeError:  # closed
            return False
        return True

    def sleep(self, until: float) -> bool:
        """Wait for a moment of `time.monotonic`; whether frames are still wanted then."""
        return not self._stopped.wait(max(until - time.monotonic(), 0.0))

    def stop(self) -> None:
        """Want no more; lets the thread go on to its end."""
        self._stopped.set()
        self._taken.set()

    def _take(self, frame: Frame, size: int) -> None:
        if self.is_open and not self._on_frame(frame, size):
            self._stopped.set()
        self._taken.set()


async def run_in_thread(
    work: Callable[[Outlet], None], *, on_frame: OnFrame, name: str = "source"
) -> None:
    """Run a source in a thread until it ends, or until `on_frame` wants no more.

    Raises:
        Exception: what `work` raised.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    outlet = Outlet(loop, on_frame=on_frame)

    def end(error: Exception | None) -> None:
        if ended.done():
            return
        if error is None:
            ended.set_result(None)
        else:
            ended.set_exception(error)

    def body() -> None:
        fault: Exception | None = None
        try:
            work(outlet)
        except Exception as error:  # the loop's side raises it again
            fault = error
        outlet.tell(lambda: end(fault))

    threading.Thread(target=body, name=name, daemon=True).start()
    try:
        await ended
    finally:
        outlet.stop()
