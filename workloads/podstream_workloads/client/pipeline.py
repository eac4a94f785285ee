"""Frames in, reports out: drain, estimate, report; each stage takes only the newest.

    track -> [drain] -> one slot -> [estimate, in a thread] -> data channel

The drain keeps aiortc's unbounded queue empty; a slow estimator costs frames, never delay. One
coroutine per stage and two beside: the heartbeat, and the watch for a picture that froze.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final

import av
from aiortc import MediaStreamTrack, RTCRtpReceiver
from aiortc.mediastreams import MediaStreamError

from podstream_workloads.circle.channel import HEARTBEAT, Estimate, format_estimate
from podstream_workloads.client.estimators import BallEstimator
from podstream_workloads.client.link import End, Link
from podstream_workloads.client.settings import PlaySettings
from podstream_workloads.client.stall import StallDetector
from podstream_workloads.client.tally import Tally
from podstream_workloads.media.aiortc_private import receiver_rtp_timestamp, request_key_frame
from podstream_workloads.media.latest import BoxClosed, LatestBox

logger = logging.getLogger(__name__)

_HEARTBEAT_S: Final = 2.0
_WATCH_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class _Picture:
    frame: av.VideoFrame
    pts: int
    rtp_timestamp: int | None


class Pipeline:
    """Plays one connection."""

    def __init__(
        self,
        link: Link,
        *,
        settings: PlaySettings,
        estimator: BallEstimator,
        executor: Executor,
        tally: Tally,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare to play.

        Args:
            link: is connected.
            settings: what to do with the frames.
            estimator: finds the ball.
            executor: one thread, in which it does.
            tally: counts on over all connections.
            clock: seconds.
        """
        self._link = link
        self._settings = settings
        self._estimator = estimator
        self._executor = executor
        self._tally = tally
        self._clock = clock
        self._box: LatestBox[_Picture] = LatestBox()
        self._stall = StallDetector()

    async def run(self) -> End:
        """Play until the connection ends or the wanted number of frames is reported."""
        helpers = [asyncio.create_task(self._beat(), name="heartbeat")]
        try:
            if self._settings.join_late_s:
                await asyncio.sleep(self._settings.join_late_s)
                await self._link.join()
            track, receiver = await self._link.video()
            helpers += [
                asyncio.create_task(self._drain(track, receiver), name="drain"),
                asyncio.create_task(self._watch(receiver), name="watch"),
            ]
            return await self._report()
        finally:
            self._tally.dropped += self._box.dropped
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)

    async def _drain(self, track: MediaStreamTrack, receiver: RTCRtpReceiver) -> None:
        """Take every frame at once; the box forgets those that come too fast."""
        skip = self._settings.drop_first
        try:
            while True:
                frame = await track.recv()
                if not isinstance(frame, av.VideoFrame) or frame.pts is None:
                    continue
                self._stall.decoded(frame.pts)
                self._tally.received += 1
                if skip > 0:
                    skip -= 1
                    self._tally.dropped += 1
                    continue
                timestamp = receiver_rtp_timestamp(receiver, frame.pts)
                self._box.put(_Picture(frame, frame.pts, timestamp))
        except MediaStreamError:
            pass
        finally:
            self._box.close()

    async def _report(self) -> End:
        loop = asyncio.get_running_loop()
        while True:
            try:
                picture = await self._box.get()
            except BoxClosed:
                return await self._link.settled()
            position = await loop.run_in_executor(
                self._executor, self._estimator.estimate, picture.frame
            )
            if position is not None:
                offset = self._settings.offset
                position = (position[0] + offset[0], position[1] + offset[1])
            estimate = Estimate(position, picture.pts, picture.rtp_timestamp)
            sent = self._link.send(format_estimate(estimate))
            self._tally.report(position, sent=sent, now=self._clock())
            if self._settings.frames is not None and self._tally.reported >= self._settings.frames:
                return End.REACHED

    async def _beat(self) -> None:
        while True:
            self._link.send(HEARTBEAT)
            await asyncio.sleep(_HEARTBEAT_S)

    async def _watch(self, receiver: RTCRtpReceiver) -> None:
        """Ask for a key frame when packets come and no picture does."""
        while True:
            await asyncio.sleep(_WATCH_S)
            now = self._clock()
            sources = receiver.getSynchronizationSources()
            if sources:
                self._stall.packets(max(source.timestamp for source in sources), now=now)
            if self._stall.take_request(now=now):
                logger.info("no picture although packets arrive: asking for a key frame")
                await request_key_frame(receiver)
