"""One connection to a session: frames come in, estimates go out."""

import asyncio
import contextlib
import time
from concurrent.futures import ThreadPoolExecutor

from av import VideoFrame

from podstream_workloads.circle import framecode
from podstream_workloads.circle.channel import (
    MAX_BUFFERED,
    Estimate,
    format_estimate,
    parse_truth,
)
from podstream_workloads.circle.estimators import BallEstimator, Point, luma
from podstream_workloads.client.options import ClientOptions
from podstream_workloads.client.peer import SessionPeer
from podstream_workloads.client.showing import Showing
from podstream_workloads.client.summary import Summary
from podstream_workloads.client.whep import SignallingClient
from podstream_workloads.media import aiortc_private
from podstream_workloads.media.latest import BoxClosed
from podstream_workloads.media.reception import Reception


class Player(SessionPeer):
    """Plays until the server ends the connection, or until the options' limits are reached."""

    def __init__(
        self,
        options: ClientOptions,
        *,
        signalling: SignallingClient,
        estimator: BallEstimator,
        pool: ThreadPoolExecutor,
        summary: Summary,
        showing: Showing | None = None,
    ) -> None:
        """`showing` is given what this client sees, where it has a window."""
        super().__init__(options, signalling=signalling, summary=summary)
        self._estimator = estimator
        self._pool = pool
        self._receiver = self._peer.addTransceiver("video", direction="recvonly").receiver
        self._reception = Reception(self._receiver, on_decoded=self._is_wanted)
        self._decoded = 0
        self._channel = self._open_channel()
        self._showing = showing
        if showing is not None:
            self._channel.on("message", self._on_message)

    async def play(self, *, connect_timeout_s: float) -> bool:
        """Play; whether the end was orderly (closed by a side) rather than a lost connection.

        Raises:
            SessionRefused, SessionOver, ClientError: as `SignallingClient.exchange`.
        """
        await self._connect(timeout_s=connect_timeout_s)
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._receive()),
                group.create_task(self._estimate()),
                group.create_task(self._beat(self._channel)),
            ]
            await self._over.wait()
            for task in tasks:
                task.cancel()
        return self._was_orderly(silent_s=self._reception.silent_s)

    def _on_connected(self) -> None:
        if self._options.join_late_s:
            aiortc_private.ignore_packets(self._receiver, seconds=self._options.join_late_s)

    async def _receive(self) -> None:
        await self._reception.run()
        self._over.set()

    def _is_wanted(self, _frame: VideoFrame) -> bool:
        self._summary.received += 1
        self._decoded += 1
        return self._decoded > self._options.drop_first

    async def _estimate(self) -> None:
        loop = asyncio.get_running_loop()
        frames = self._reception.frames
        with contextlib.suppress(BoxClosed):
            while True:
                dropped = frames.dropped
                frame = await frames.get()
                self._summary.dropped += frames.dropped - dropped
                begun = time.monotonic()
                point, code = await loop.run_in_executor(self._pool, self._look, frame)
                self._send(point, code, pts=frame.pts or 0, job_s=time.monotonic() - begun)
                self._show(frame, point)
                if self._has_enough():
                    self._over.set()
                    return

    def _show(self, frame: VideoFrame, point: Point | None) -> None:
        if self._showing is None:
            return
        rtp_timestamp = aiortc_private.receiver_rtp_timestamp(self._receiver, frame.pts or 0)
        radius = self._estimator.radius
        self._showing.looked(frame, point, radius=radius, rtp_timestamp=rtp_timestamp)

    def _on_message(self, message: object) -> None:
        truth = parse_truth(message)
        if truth is not None and self._showing is not None:
            self._showing.told(truth)

    def _look(self, frame: VideoFrame) -> tuple[Point | None, int | None]:
        """The ball's place and the number in the picture. In the pool's thread."""
        code = framecode.read(luma(frame)) if self._options.frame_code else None
        return self._estimator.estimate(frame), code

    def _send(self, point: Point | None, code: int | None, *, pts: int, job_s: float) -> None:
        rtp_timestamp = aiortc_private.receiver_rtp_timestamp(self._receiver, pts)
        if self._channel.readyState != "open" or rtp_timestamp is None:
            return
        if self._channel.bufferedAmount > MAX_BUFFERED:
            return
        if point is None:
            self._summary.missed += 1
            seen = None
        else:
            self._summary.estimated += 1
            seen = (point[0] + self._options.offset[0], point[1] + self._options.offset[1])
        self._channel.send(format_estimate(Estimate(seen, pts, rtp_timestamp, code, job_s)))
