"""The client program: dials a server, finds the ball by HoughCircles, answers on its channel."""

import asyncio
import contextlib
import functools
import logging

import av
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError

from podstream_workloads.circle.estimators import HoughEstimator
from podstream_workloads.circle.signalling import MAX_LINE, Bye, SignallingChannel
from podstream_workloads.circle.standalone.detection import Detection
from podstream_workloads.circle.standalone.display import Window
from podstream_workloads.circle.standalone.options import ClientOptions
from podstream_workloads.circle.standalone.program import Program
from podstream_workloads.media import aiortc_private
from podstream_workloads.media.latest import BoxClosed, LatestBox

logger = logging.getLogger(__name__)

_BACK_OFF_S = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Waits between two dials; the last one repeats. The server may start later."""


class ClientProgram(Program):
    """Plays one server until that says goodbye."""

    def __init__(self, options: ClientOptions, *, window: Window | None) -> None:
        self._options = options
        self._frames: LatestBox[av.VideoFrame] = LatestBox()
        hough = HoughEstimator(dp=options.dp, min_dist=options.min_dist)
        self._detection = Detection(hough, self._frames)
        self._window = window
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._signalling: SignallingChannel | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._failed = False

    async def run(self) -> int:
        """Play until the server leaves; 1 where the connection fails."""
        aiortc_private.install_marker_release()
        aiortc_private.keep_history()
        options = self._options
        logger.info("dp %s, minDist %s", options.dp, options.min_dist)
        logger.info("connecting to: %s:%d", options.host, options.port)
        self._peer.on("datachannel", self._on_channel)
        self._peer.on("track", self._on_track)
        over = asyncio.Event()

        def on_state() -> None:
            logger.info("connection state is %s", self._peer.connectionState)
            if self._peer.connectionState in ("failed", "closed"):
                self._failed = self._peer.connectionState == "failed"
                over.set()

        self._peer.on("connectionstatechange", on_state)
        self._signalling = await self._dial()
        leaving = asyncio.create_task(self._talk(self._signalling))
        left = asyncio.create_task(over.wait())
        await asyncio.wait({leaving, left}, return_when=asyncio.FIRST_COMPLETED)
        left.cancel()
        if leaving.done():
            leaving.result()
        leaving.cancel()
        logger.info("goodbye")
        return 1 if self._failed else 0

    async def shutdown(self) -> None:
        """Say goodbye and give everything back."""
        self._frames.close()
        for task in self._tasks:
            task.cancel()
        if self._signalling is not None:
            await self._signalling.send_bye()
            await self._signalling.close()
        await aiortc_private.close_quietly(self._peer)
        self._detection.close()

    async def _dial(self) -> SignallingChannel:
        """Connect, however long the server takes to appear."""
        attempt = 0
        while True:
            try:
                reader, writer = await asyncio.open_connection(
                    self._options.host, self._options.port, limit=MAX_LINE
                )
            except OSError as error:
                if attempt == 0:
                    logger.info("no server yet (%s); trying again", error)
                await asyncio.sleep(_BACK_OFF_S[min(attempt, len(_BACK_OFF_S) - 1)])
                attempt += 1
                continue
            return SignallingChannel(reader, writer)

    async def _talk(self, signalling: SignallingChannel) -> None:
        """Answer the server's offer and stay until its goodbye."""
        while True:
            message = await signalling.receive()
            if isinstance(message, Bye):
                return
            if message.type == "offer":
                logger.info("received offer")
                await self._answer(signalling, message)

    async def _answer(self, signalling: SignallingChannel, offer: RTCSessionDescription) -> None:
        await self._peer.setRemoteDescription(offer)
        await self._peer.setLocalDescription(await self._peer.createAnswer())
        await signalling.send(self._peer.localDescription)

    def _on_channel(self, channel: RTCDataChannel) -> None:
        logger.info("channel connected")
        channel.send("hi")
        self._tasks.append(asyncio.create_task(self._estimate(channel)))

    def _on_track(self, track: MediaStreamTrack) -> None:
        logger.info("track connected")
        self._tasks.append(asyncio.create_task(self._consume(track)))

    async def _consume(self, track: MediaStreamTrack) -> None:
        with contextlib.suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                if not isinstance(frame, av.VideoFrame):
                    continue
                dropped = self._frames.dropped
                self._frames.put(frame)
                if self._frames.dropped > dropped:
                    logger.debug("skipped frame before timestamp %s", frame.pts)
        logger.info("run track returning false")
        self._frames.close()

    async def _estimate(self, channel: RTCDataChannel) -> None:
        """Newest frame, estimate, answer; what comes in meanwhile is skipped, not queued."""
        with contextlib.suppress(BoxClosed):
            while channel.readyState == "open":
                frame, text = await self._detection.next()
                if self._window is not None:
                    self._window.show(functools.partial(frame.to_ndarray, format="bgr24"))
                channel.send(text)
