"""What aiortc's examples do with the ball: the baseline of `circle_pair`."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.codecs.h264 import H264Decoder, H264Encoder
from aiortc.codecs.vpx import Vp8Decoder, Vp8Encoder
from aiortc.mediastreams import MediaStreamError
from av import VideoFrame

from bench.circle_pair import Run
from bench.stage_times import timed
from podstream_core.api import Ball
from podstream_workloads.circle.motion import Motion, fixed_law

Say = Callable[[str], None]
Hear = Callable[[], Awaitable[str]]
_CLOCK = 90_000


class _Track(MediaStreamTrack):
    """As `aiortc.VideoStreamTrack`, at any rate: a late frame keeps its old timestamp."""

    kind = "video"

    def __init__(self, run: Run) -> None:
        super().__init__()
        ball = Ball(radius=run.radius, speed=3)
        self._run = run
        self._motion = Motion(
            fixed_law(ball), radius=run.radius, width=run.width, height=run.height
        )
        self._start = 0.0
        self.drawn: dict[int, tuple[float, float, float]] = {}
        self.frames = 0

    async def recv(self) -> VideoFrame:
        """A new BGR picture, when its time has come or at once."""
        if not self.frames:
            self._start = time.monotonic()
        wait_s = self._start + self.frames / self._run.fps - time.monotonic()
        await asyncio.sleep(max(0.0, wait_s))
        return self.draw()

    def draw(self) -> VideoFrame:
        """The picture that is due."""
        drawn_at = time.monotonic()
        x, y = self._motion.position
        picture = np.zeros((self._run.height, self._run.width, 3), np.uint8)
        cv2.circle(picture, (round(x), round(y)), self._run.radius, (0, 255, 0), -1)
        frame = VideoFrame.from_ndarray(picture, format="bgr24")
        frame.pts = self.frames * _CLOCK // self._run.fps
        frame.time_base = Fraction(1, _CLOCK)
        self.drawn[frame.pts] = (drawn_at, round(x), round(y))
        self._motion.advance()
        self.frames += 1
        return frame


class Sender:
    """Offers the ball and dates the answers."""

    def __init__(
        self, run: Run, *, folder: Path, on_answer: Callable[[float, float], None]
    ) -> None:
        _ = folder
        self._on_answer = on_answer
        self._track = _Track(run)
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._peer.addTrack(self._track)
        known = RTCRtpSender.getCapabilities("video").codecs
        wanted = f"VIDEO/{run.codec}"
        self._peer.getTransceivers()[0].setCodecPreferences(
            sorted(known, key=lambda codec: codec.mimeType.upper() != wanted)
        )
        self.stages: dict[str, float] = {}
        timed(self._track, "draw", self.stages, stage="draw")
        for encoder in (H264Encoder, Vp8Encoder):
            timed(encoder, "encode", self.stages, stage="encode")

    @property
    def frames(self) -> int:
        return self._track.frames

    async def connect(self, say: Say, hear: Hear) -> None:
        channel = self._peer.createDataChannel("RTCchannel")
        channel.on("message", self._heard)
        connected = _connected(self._peer)
        await self._peer.setLocalDescription(await self._peer.createOffer())
        say(self._peer.localDescription.sdp)
        answer = RTCSessionDescription(sdp=await hear(), type="answer")
        await self._peer.setRemoteDescription(answer)
        await connected.wait()

    async def close(self) -> None:
        await self._peer.close()

    def _heard(self, message: Any) -> None:
        x, y, pts = message.split("\t")
        drawn = self._track.drawn.pop(int(pts), None)
        if drawn is not None:
            at, true_x, true_y = drawn
            error = (float(x) - true_x) ** 2 + (float(y) - true_y) ** 2
            self._on_answer(time.monotonic() - at, error)


class Receiver:
    """Looks at every frame in turn."""

    def __init__(self, run: Run, *, pool: ThreadPoolExecutor) -> None:
        self._run = run
        self._pool = pool
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._peer.on("track", self._take)
        self._peer.on("datachannel", self._opened)
        self._channel: Any = None
        self._tasks: list[asyncio.Task[None]] = []
        self.frames = 0
        self.stages: dict[str, float] = {}
        for decoder in (H264Decoder, Vp8Decoder):
            timed(decoder, "decode", self.stages, stage="decode")
        timed(self, "_find", self.stages, stage="estimate")

    async def connect(self, say: Say, hear: Hear) -> None:
        connected = _connected(self._peer)
        offer = RTCSessionDescription(sdp=await hear(), type="offer")
        await self._peer.setRemoteDescription(offer)
        await self._peer.setLocalDescription(await self._peer.createAnswer())
        say(self._peer.localDescription.sdp)
        await connected.wait()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self._peer.close()

    def _opened(self, channel: Any) -> None:
        self._channel = channel

    def _take(self, track: MediaStreamTrack) -> None:
        self._tasks.append(asyncio.ensure_future(self._look(track)))

    async def _look(self, track: MediaStreamTrack) -> None:
        loop = asyncio.get_running_loop()
        last = (0.0, 0.0)
        try:
            while True:
                frame: Any = await track.recv()
                self.frames += 1
                found = await loop.run_in_executor(self._pool, self._find, frame)
                last = found or last
                if self._channel is not None and self._channel.readyState == "open":
                    self._channel.send(f"{last[0]}\t{last[1]}\t{frame.pts}")
        except MediaStreamError:
            pass

    def _find(self, frame: Any) -> tuple[float, float] | None:
        if not self._run.estimates:
            return None
        gray = cv2.cvtColor(frame.to_ndarray(format="bgr24"), cv2.COLOR_BGR2GRAY)
        circles = cv2.HoughCircles(gray, cv2.HOUGH_GRADIENT, 5.845, 5)
        time.sleep(self._run.job_s)
        if circles is None:
            return None
        first = np.asarray(circles).reshape(-1, np.asarray(circles).shape[-1])[0]
        return float(first[0]), float(first[1])


def _connected(peer: RTCPeerConnection) -> asyncio.Event:
    event = asyncio.Event()

    def changed() -> None:
        if peer.connectionState == "connected":
            event.set()

    peer.on("connectionstatechange", changed)
    return event
