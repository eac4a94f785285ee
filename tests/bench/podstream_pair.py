"""The workload and the client as they are, for `circle_pair`."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
from aiortc.codecs.h264 import H264Decoder
from aiortc.codecs.vpx import Vp8Decoder
from av import VideoFrame

from bench.circle_pair import Run
from bench.stage_times import timed
from circle.players import Context
from podstream_core.agentapi import Protocol
from podstream_core.api import Circle, CircleResults, SessionSpec
from podstream_workloads.agent import Connection
from podstream_workloads.circle.draw import Canvas
from podstream_workloads.circle.estimators import BallEstimator, DiscFitEstimator, Point
from podstream_workloads.circle.score import Scored
from podstream_workloads.circle.workload import CircleWorkload
from podstream_workloads.client.options import parse
from podstream_workloads.client.player import Player
from podstream_workloads.client.summary import Summary
from podstream_workloads.client.whep import SignallingClient
from podstream_workloads.media import aiortc_private
from podstream_workloads.media.encoders.base import BudgetEncoder
from podstream_workloads.media.encoders.h264 import H264Encoder
from podstream_workloads.media.encoders.vp8 import Vp8Encoder

Say = Callable[[str], None]
Hear = Callable[[], Awaitable[str]]


class Sender:
    """A session's workload."""

    def __init__(
        self, run: Run, *, folder: Path, on_answer: Callable[[float, float], None]
    ) -> None:
        self._run = run
        self._on_answer = on_answer
        self._context = Context(folder)
        self._workload = CircleWorkload(on_scored=self._scored)
        self.stages: dict[str, float] = {}
        timed(Canvas, "draw", self.stages, stage="draw")
        timed(BudgetEncoder, "encode_picture", self.stages, stage="encode")
        for encoder in (H264Encoder, Vp8Encoder):
            timed(encoder, "packetize", self.stages, stage="packetise")

    @property
    def frames(self) -> int:
        return self._workload.game.ledger.score.sent

    async def connect(self, say: Say, hear: Hear) -> None:
        run = self._run
        circle = {
            "width": run.width,
            "height": run.height,
            "fps": run.fps,
            "codec": run.codec,
            "quality": run.quality,
            "ball": {"radius": run.radius, "color": "#00ff00"},
        }
        await self._workload.configure(SessionSpec(circle=Circle.from_body(circle)), self._context)
        connection = Connection(id=uuid.uuid4().hex, role="player", protocol=Protocol.WHEP)
        say(await self._workload.connect_whep(connection, offer_sdp=await hear()))
        while not self._context.came:  # noqa: ASYNC110 - a benchmark's start
            await asyncio.sleep(0.01)

    async def close(self) -> None:
        await self._workload.drain()

    def _scored(self, scored: Scored) -> None:
        self._on_answer(scored.latency_ms / 1e3, scored.squared_error)

    async def results(self) -> CircleResults:
        figures = (await self._workload.results()).figures
        assert isinstance(figures, CircleResults)
        return figures


class _Piped(SignallingClient):
    def __init__(self, say: Say, hear: Hear) -> None:
        self._say = say
        self._hear = hear

    async def exchange(self, offer_sdp: str, *, timeout_s: float) -> str:
        self._say(offer_sdp)
        return await self._hear()

    async def leave(self) -> None: ...


class _Busy(DiscFitEstimator):
    """Spends more time on each frame."""

    def __init__(self, job_s: float) -> None:
        super().__init__()
        self._job_s = job_s

    def estimate(self, frame: VideoFrame) -> Point | None:
        time.sleep(self._job_s)
        return super().estimate(frame)


class _Blind(BallEstimator):
    """Looks at nothing."""

    def estimate(self, frame: VideoFrame) -> Point | None:
        _ = frame
        return 0.0, 0.0


class Receiver:
    """The client."""

    def __init__(self, run: Run, *, pool: ThreadPoolExecutor) -> None:
        cv2.setNumThreads(1)
        aiortc_private.install_marker_release()
        aiortc_private.keep_history()
        self._pool = pool
        self._summary = Summary()
        self.stages: dict[str, float] = {}
        for decoder in (H264Decoder, Vp8Decoder):
            timed(decoder, "decode", self.stages, stage="decode")
        self._estimator: BallEstimator = _Busy(run.job_s) if run.estimates else _Blind()
        timed(self._estimator, "estimate", self.stages, stage="estimate")
        self._player: Player | None = None
        self._playing: asyncio.Task[bool] | None = None

    @property
    def frames(self) -> int:
        return self._summary.received

    async def connect(self, say: Say, hear: Hear) -> None:
        self._player = Player(
            parse(["--url", "http://unused"], environment={}),
            signalling=_Piped(say, hear),
            estimator=self._estimator,
            pool=self._pool,
            summary=self._summary,
        )
        self._playing = asyncio.create_task(self._player.play(connect_timeout_s=10))
        while not self._summary.connections:
            if self._playing.done():
                self._playing.result()
            await asyncio.sleep(0.01)

    async def close(self) -> None:
        if self._playing is not None:
            self._playing.cancel()
        if self._player is not None:
            await self._player.close()
