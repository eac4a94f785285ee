"""One connection to a session: frames come in, estimates go out."""

import asyncio
import contextlib
import logging
import time
from concurrent.futures import ThreadPoolExecutor

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from av import VideoFrame

from podstream_workloads.circle import framecode
from podstream_workloads.circle.channel import HEARTBEAT, LABEL, Estimate, format_estimate
from podstream_workloads.circle.estimators import BallEstimator, Point, luma
from podstream_workloads.client.connecting import wait_connected
from podstream_workloads.client.options import ClientOptions
from podstream_workloads.client.summary import Summary
from podstream_workloads.client.whep import SignallingClient
from podstream_workloads.media import aiortc_private
from podstream_workloads.media.latest import BoxClosed
from podstream_workloads.media.reception import Reception

logger = logging.getLogger(__name__)

_HEARTBEAT_S = 2.0
_MAX_BUFFERED = 64 * 1024
_SILENT_S = 5.0
"""An end after so long without a frame is a lost connection."""


class Player:
    """Plays until the server ends the connection, or until the options' limits are reached."""

    def __init__(
        self,
        options: ClientOptions,
        *,
        signalling: SignallingClient,
        estimator: BallEstimator,
        pool: ThreadPoolExecutor,
        summary: Summary,
    ) -> None:
        self._options = options
        self._signalling = signalling
        self._estimator = estimator
        self._pool = pool
        self._summary = summary
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._receiver = self._peer.addTransceiver("video", direction="recvonly").receiver
        self._reception = Reception(self._receiver, on_decoded=self._is_wanted)
        self._ignored = 0
        self._channel = self._peer.createDataChannel(LABEL, ordered=False, maxRetransmits=0)
        self._connected = asyncio.Event()
        self._over = asyncio.Event()
        self._peer.on("connectionstatechange", self._on_state)

    @property
    def was_connected(self) -> bool:
        """Whether ICE and DTLS ever came up."""
        return self._connected.is_set()

    async def play(self, *, connect_timeout_s: float) -> bool:
        """Play; whether the end was orderly (closed by a side) rather than a lost connection.

        Raises:
            SessionRefused, SessionOver, ClientError: as `SignallingClient.exchange`.
        """
        await self._peer.setLocalDescription(await self._peer.createOffer())
        answer = await self._signalling.exchange(
            self._peer.localDescription.sdp, timeout_s=connect_timeout_s
        )
        await self._peer.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
        await wait_connected(self._connected, over=self._over)
        self._summary.connections += 1
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._receive()),
                group.create_task(self._estimate()),
                group.create_task(self._beat()),
            ]
            await self._over.wait()
            for task in tasks:
                task.cancel()
        # A server that ends a session says so while frames flow; one that is gone is noticed by
        # ICE consent after a silence, and aiortc calls that closed as well.
        was_silent = self._reception.silent_s > _SILENT_S
        return self._peer.connectionState != "failed" and not was_silent

    async def close(self) -> None:
        """Leave; bounded, never raises."""
        await self._signalling.leave()
        await aiortc_private.close_quietly(self._peer)

    def _on_state(self) -> None:
        state = self._peer.connectionState
        logger.info("connection state is %s", state)
        if state == "connected":
            self._connected.set()
            if self._options.join_late_s:
                aiortc_private.ignore_packets(self._receiver, seconds=self._options.join_late_s)
        elif state in ("failed", "closed"):
            self._over.set()

    async def _receive(self) -> None:
        await self._reception.run()
        self._over.set()

    def _is_wanted(self, _frame: VideoFrame) -> bool:
        self._summary.received += 1
        self._ignored += 1
        return self._ignored > self._options.drop_first

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
                if 0 < self._options.frames <= self._summary.estimated:
                    self._over.set()
                    return

    def _look(self, frame: VideoFrame) -> tuple[Point | None, int | None]:
        """The ball's place and the number in the picture. In the pool's thread."""
        code = framecode.read(luma(frame)) if self._options.frame_code else None
        return self._estimator.estimate(frame), code

    def _send(self, point: Point | None, code: int | None, *, pts: int, job_s: float) -> None:
        rtp_timestamp = aiortc_private.receiver_rtp_timestamp(self._receiver, pts)
        if self._channel.readyState != "open" or rtp_timestamp is None:
            return
        if self._channel.bufferedAmount > _MAX_BUFFERED:
            return
        if point is None:
            self._summary.missed += 1
            seen = None
        else:
            self._summary.estimated += 1
            seen = (point[0] + self._options.offset[0], point[1] + self._options.offset[1])
        self._channel.send(format_estimate(Estimate(seen, pts, rtp_timestamp, code, job_s)))

    async def _beat(self) -> None:
        while True:
            if self._channel.readyState == "open":
                self._channel.send(HEARTBEAT)
            await asyncio.sleep(_HEARTBEAT_S)
