"""Where a camera gets pictures from, as its agent runs it: each kind reaches the site as boxes."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
import socketio
from aiortc import RTCSessionDescription

from fakes.context import Context
from fakes.rtsp_server import Camera as RtspCamera
from podstream_core import names
from podstream_core.agentapi import Protocol
from podstream_core.api import CameraResults, SessionSpec, TrackingResults
from podstream_workloads.agent import BadOffer, Connection, SpecRejected, UnsupportedOffer
from podstream_workloads.media import aiortc_private
from podstream_workloads.tracking.metrics import write_mot
from podstream_workloads.tracking.orchestrator import (
    Orchestrator,
    OrchestratorSettings,
    SqliteTimelines,
)
from podstream_workloads.tracking.workload import TrackingWorkload
from stream.rtc_clients import Greys, media_context, new_peer, offer_of
from tracking.intruder.site_of import jpeg, room
from tracking.scenes.walkers import Scene, Walker, across
from tracking.test_members import router

SCENE = Scene((Walker(1, (across(1, 4),)),), seconds=4)


@asynccontextmanager
async def site(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Orchestrator]:
    orchestrator = Orchestrator(OrchestratorSettings(), store=SqliteTimelines())
    await orchestrator.open()
    try:
        async with router(orchestrator.app(), "yard", monkeypatch, folder):
            yield orchestrator
    finally:
        await orchestrator.close()


@asynccontextmanager
async def camera(context: Context, **more: Any) -> AsyncIterator[TrackingWorkload]:
    workload = TrackingWorkload()
    spec = {"camera": {"id": "gate", "siteRef": {"name": "yard"}, "fps": 60, **more}}
    try:
        await workload.configure(SessionSpec.from_body({"tracking": spec}), context)
        yield workload
    finally:
        await workload.drain()


async def figures(workload: TrackingWorkload) -> CameraResults:
    found = (await workload.results()).figures
    assert isinstance(found, TrackingResults)
    assert found.camera is not None
    return found.camera


async def until(workload: TrackingWorkload, told: Callable[[CameraResults], bool]) -> CameraResults:
    async with asyncio.timeout(60):
        while not told(await figures(workload)):  # noqa: ASYNC110 - figures have no event
            await asyncio.sleep(0.02)
    return await figures(workload)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a film of one person and the truth about it."""
    folder = tmp_path_factory.mktemp("clip")
    truth = {}
    container: Any = av.open(str(folder / "walk.mp4"), "w")
    with container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "18"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        stream.time_base = Fraction(1, 10)
        for number, (frame, boxes) in enumerate(SCENE.render(), start=1):
            truth[number] = boxes
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame.image, format="bgr24")))
        container.mux(stream.encode(None))
    write_mot(folder / "truth.txt", truth)
    return folder


def mount(volumes: Path, place: str, folder: Path) -> None:
    link = volumes / place
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(folder)


FILE = {"type": "File", "file": {"configMapName": "films", "path": "walk.mp4"}}


async def test_a_file_with_truth_ends_with_its_scores(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mount(tmp_path, names.TRACKING_SOURCE, clip)
    mount(tmp_path, names.TRACKING_TRUTH, clip)
    context = Context(tmp_path)
    truth = {"claimName": "films", "path": "truth.txt"}
    async with (
        site(tmp_path, monkeypatch),
        camera(context, source=FILE, truth=truth) as workload,
    ):
        assert workload.is_finite
        await context.reported("done")
        found = await figures(workload)
    assert (found.frames, found.dropped) == (40, 0)
    quality = found.quality
    assert quality is not None
    assert (quality.frames, quality.people, quality.switches) == (40, 1, 0)
    for score in (quality.mota, quality.idf1, quality.hota):
        assert score is not None
        assert 0.3 < score <= 1


async def test_truth_that_is_none_is_the_spec_s_fault(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mount(tmp_path, names.TRACKING_SOURCE, clip)
    mount(tmp_path, names.TRACKING_TRUTH, clip)
    monkeypatch.setenv(names.ENV_ROUTER_URL, "http://127.0.0.1:1")
    for path in ("walk.mp4", "none.txt"):
        truth = {"claimName": "films", "path": path}
        with pytest.raises(SpecRejected, match=r"camera\.truth"):
            async with camera(Context(tmp_path), source=FILE, truth=truth):
                pass


async def test_a_camera_is_pulled_by_rtsp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with RtspCamera() as server:
        rtsp = {"url": f"rtsp://{server.address}/live", "timeoutSeconds": 30}
        async with (
            site(tmp_path, monkeypatch) as orchestrator,
            camera(Context(tmp_path), source={"type": "RTSP", "rtsp": rtsp}) as workload,
        ):
            assert workload.capacities == {}
            found = await until(workload, lambda now: now.sent > 10)
            assert found.message is None
            assert orchestrator.results().cameras == 1


async def test_status_says_why_there_is_no_rtsp_and_never_the_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rtsp = {"url": "rtsp://viewer:quite-secret@127.0.0.1:1/live", "timeoutSeconds": 5}
    async with (
        site(tmp_path, monkeypatch),
        camera(Context(tmp_path), source={"type": "RTSP", "rtsp": rtsp}) as workload,
    ):
        found = await until(workload, lambda now: "127.0.0.1:1" in (now.message or ""))
        assert "refuses connections" in (found.message or "")
        assert "quite-secret" not in (found.message or "")


@asynccontextmanager
async def port_of(workload: TrackingWorkload) -> AsyncIterator[str]:
    """A base URL whose connections are handed over as a device's."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)

    async def accept() -> None:
        number = 0
        while True:
            sock, _ = await asyncio.get_running_loop().sock_accept(listener)
            sock.setblocking(False)
            number += 1
            connection = Connection(id=f"d{number}", role="device", protocol=Protocol.HTTP)
            await workload.connect_stream(connection, sock=sock)

    accepting = asyncio.create_task(accept())
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        accepting.cancel()
        with suppress(asyncio.CancelledError):
            await accepting
        listener.close()


class Sender:
    """A stock Socket.IO client that keeps what it is told."""

    def __init__(self) -> None:
        self.client = socketio.AsyncClient(reconnection=False)
        self.told: list[tuple[str, str]] = []
        for event in ("frame_processed", "frame_refused"):
            self.client.on(event, self._keep(event))

    def _keep(self, event: str) -> Callable[[dict[str, str]], None]:
        return lambda data: self.told.append((event, data["frame_name"]))

    async def send(self, name: str, data: bytes) -> None:
        await self.client.emit("frame_event", {"frame_name": name, "data": data})

    async def answers(self, count: int) -> list[tuple[str, str]]:
        async with asyncio.timeout(60):
            while len(self.told) < count:  # noqa: ASYNC110 - the library has no event for it
                await asyncio.sleep(0.02)
        return self.told


PUSHED = {"type": "SocketIO"}


async def test_every_pushed_picture_is_looked_at_and_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        site(tmp_path, monkeypatch) as orchestrator,
        camera(Context(tmp_path), source=PUSHED, fps=1) as workload,
        port_of(workload) as url,
    ):
        sender = Sender()
        await sender.client.connect(url)
        for number in range(5):
            await sender.send(f"f{number}.jpg", jpeg(room()))
        await sender.send("broken.jpg", b"no picture")
        told = await sender.answers(6)
        assert told[:5] == [("frame_processed", f"f{number}.jpg") for number in range(5)]
        assert told[5] == ("frame_processed", "broken.jpg")
        found = await until(workload, lambda now: now.frames == 5)
        assert "broken.jpg" in (found.message or "")
        await sender.send("last.jpg", jpeg(room()))
        await sender.answers(7)
        found = await until(workload, lambda now: now.sent > 5 and now.message is None)
        assert (found.frames, found.dropped, found.refused) == (6, 0, 0)
        async with asyncio.timeout(60):
            while orchestrator.results().boxes_in < 6:  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.02)
        await sender.client.disconnect()


async def test_a_sender_that_comes_again_takes_the_place_of_the_lost_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        site(tmp_path, monkeypatch),
        camera(Context(tmp_path), source=PUSHED) as workload,
        port_of(workload) as url,
    ):
        lost, newer = Sender(), Sender()
        await lost.client.connect(url)
        await newer.client.connect(url)
        await newer.send("a.jpg", jpeg(room()))
        assert await newer.answers(1) == [("frame_processed", "a.jpg")]
        await newer.client.disconnect()
        await lost.client.disconnect()


@pytest.mark.media
async def test_video_that_is_published_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = media_context(tmp_path)
    async with (
        site(tmp_path, monkeypatch) as orchestrator,
        camera(context, source={"type": "WHIP"}) as workload,
    ):
        assert workload.capacities == {"publisher": 1}
        connection = Connection(id="p1", role="publisher", protocol=Protocol.WHIP)
        with pytest.raises(BadOffer):
            await workload.connect_whep(connection, offer_sdp="nonsense")
        peer = new_peer()
        peer.addTransceiver(Greys(), direction="sendonly")
        try:
            answer = await workload.connect_whep(connection, offer_sdp=await offer_of(peer))
            await peer.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
            await context.reported("established p1")
            await until(workload, lambda now: now.sent > 5)
            assert orchestrator.results().cameras == 1
            await workload.disconnect("p1")
        finally:
            await aiortc_private.close_quietly(peer)


async def test_other_members_take_no_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = Connection(id="p1", role="publisher", protocol=Protocol.WHIP)
    async with (
        site(tmp_path, monkeypatch),
        camera(Context(tmp_path)) as workload,
    ):
        with pytest.raises(UnsupportedOffer, match="WHIP"):
            await workload.connect_whep(connection, offer_sdp="v=0")
    spec = SessionSpec.from_body({"tracking": {"orchestrator": {}}})
    workload = TrackingWorkload()
    await workload.configure(spec, Context(tmp_path))
    with pytest.raises(UnsupportedOffer, match="camera"):
        await workload.connect_whep(connection, offer_sdp="v=0")
    await workload.drain()
