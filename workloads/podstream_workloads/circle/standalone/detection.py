"""The original's detection worker: the newest frame, one at a time, and the last place it saw."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import av

from podstream_workloads.circle.estimators import BallEstimator
from podstream_workloads.media.latest import LatestBox


class Detection:
    """Answers frames in the original's words.

    The original hands over one result at a time while frames queue up behind it. Here the newest
    frame waits for its turn and replaces the one before, so answers are never old.
    """

    def __init__(self, estimator: BallEstimator, frames: LatestBox[av.VideoFrame]) -> None:
        self._estimator = estimator
        self._frames = frames
        self._last = (-1.0, -1.0)
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="estimator")

    async def next(self) -> tuple[av.VideoFrame, str]:
        """Look at the newest frame; that and its answer.

        A frame without a ball is answered with the place that was seen last, at first (-1, -1).

        Raises:
            BoxClosed: no frame will come any more.
        """
        frame = await self._frames.get()
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._pool, self._estimator.estimate, frame)
        self._last = found or self._last
        place = (round(self._last[0]), round(self._last[1]))
        return frame, format_original(place, pts=frame.pts or 0)

    def close(self) -> None:
        """Give the thread back; a frame that is being looked at is not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def format_original(place: tuple[int, int], *, pts: int) -> str:
    """The original's message: three whole numbers with tabs between them."""
    return f"{place[0]}\t{place[1]}\t{pts}"
