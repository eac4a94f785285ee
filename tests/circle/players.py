"""Sessions and clients of the circle workload on loopback, without any HTTP."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from podstream_core.agentapi import Protocol, SessionRef
from podstream_core.api import Circle, CircleResults, SessionSpec
from podstream_core.ports import MEDIA_PORT_COUNT, MEDIA_PORT_FIRST
from podstream_workloads.agent import Connection, MediaAddress, WorkloadContext
from podstream_workloads.circle.estimators import BallEstimator, DiscFitEstimator
from podstream_workloads.circle.workload import CircleWorkload
from podstream_workloads.client.options import parse
from podstream_workloads.client.player import Player
from podstream_workloads.client.showing import Showing
from podstream_workloads.client.summary import Summary
from podstream_workloads.client.whep import SignallingClient
from podstream_workloads.media import aiortc_private


class Context(WorkloadContext):
    """Notes what the workload reports."""

    def __init__(self, folder: Path) -> None:
        uid = str(uuid.uuid4())
        self.session = SessionRef(namespace="default", name="ball", uid=uid)
        self.media = MediaAddress(
            pod_uid=uid,
            host="127.0.0.1",
            first_port=MEDIA_PORT_FIRST,
            port_count=MEDIA_PORT_COUNT,
        )
        self.artefact_dir = folder
        self.volumes_dir = folder
        self.shared_dir = folder
        self.finished = asyncio.Event()
        self.changed = asyncio.Event()
        self.is_ready = False
        self.had_first_frame = False
        self.came: list[str] = []
        self.went: list[str] = []

    def ready(self) -> None:
        self.is_ready = True

    def established(self, connection_id: str) -> None:
        self.came.append(connection_id)

    def lost(self, connection_id: str, *, reason: str = "") -> None:
        self.went.append(reason)
        self.finished.set()

    def first_frame(self) -> None:
        self.had_first_frame = True

    def results_changed(self) -> None:
        self.changed.set()

    async def missed(self, frames: int, *, of: CircleWorkload) -> None:
        """Wait until the client has reported so many frames without a ball."""
        while (await figures_of(of)).frames_missed < frames:
            self.changed.clear()
            await self.changed.wait()

    def done(self) -> None:
        self.finished.set()

    def fail(self, reason: str, message: str) -> None:
        raise AssertionError(f"{reason}: {message}")


class Direct(SignallingClient):
    """Hands the offer to the workload without HTTP."""

    def __init__(self, workload: CircleWorkload, protocol: Protocol = Protocol.WHEP) -> None:
        self._workload = workload
        self._protocol = protocol

    async def exchange(self, offer_sdp: str, *, timeout_s: float) -> str:
        connection = Connection(id=uuid.uuid4().hex, role="player", protocol=self._protocol)
        return await self._workload.connect_whep(connection, offer_sdp=offer_sdp)

    async def leave(self) -> None: ...


def spec(frames: int = 40, **circle: object) -> SessionSpec:
    small = {"width": 320, "height": 240, "fps": 30, "frames": frames, **circle}
    return SessionSpec(circle=Circle.from_body(small))


@contextlib.asynccontextmanager
async def playing(
    session: SessionSpec, folder: Path
) -> AsyncIterator[tuple[CircleWorkload, Context]]:
    workload, context = CircleWorkload(), Context(folder)
    await workload.configure(session, context)
    try:
        yield workload, context
    finally:
        await workload.drain()


async def play(
    session: SessionSpec,
    folder: Path,
    *flags: str,
    estimator: BallEstimator | None = None,
    showing: Showing | None = None,
) -> CircleResults:
    """One session with the own client until the workload is done."""
    aiortc_private.install_marker_release()
    with ThreadPoolExecutor(1) as pool:
        async with playing(session, folder) as (workload, context):
            player = Player(
                parse(["--url", "http://unused", *flags], environment={}),
                signalling=Direct(workload),
                estimator=estimator or DiscFitEstimator(),
                pool=pool,
                summary=Summary(),
                showing=showing,
            )
            play_task = asyncio.create_task(player.play(connect_timeout_s=5))
            try:
                async with asyncio.timeout(90):
                    await context.finished.wait()
                await workload.drain()
                assert await play_task is True
            finally:
                play_task.cancel()
                await player.close()
            assert context.had_first_frame
            figures = (await workload.results()).figures
            assert isinstance(figures, CircleResults)
            return figures


async def figures_of(workload: CircleWorkload) -> CircleResults:
    figures = (await workload.results()).figures
    assert isinstance(figures, CircleResults)
    return figures
