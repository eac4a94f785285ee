"""A session that pulls the video of a camera, which may refuse, fall silent, and come back."""

import asyncio
import functools
import socket
import time
from pathlib import Path

from fakes.rtsp_server import HEIGHT, WIDTH, Camera
from podstream_core.api import SessionSpec, SourceType, Stream, StreamRtsp, StreamSource
from podstream_workloads.stream.frames import Frame
from podstream_workloads.stream.sources.outlet import run_in_thread
from podstream_workloads.stream.sources.rtsp import Link, pull
from stream.test_workload import configured, figures

PAUSE_S = 0.05


def pulled(url: str, *, frames: int = 0) -> Stream:
    rtsp = StreamRtsp(url=url, timeout_seconds=30)
    source = StreamSource(type=SourceType.RTSP, rtsp=rtsp, frames=frames)
    return Stream(width=48, height=32, source=source)


class Pulling:
    """Pulls until so many frames or links have come."""

    def __init__(self, url: str, *, timeout_s: int = 30) -> None:
        self._rtsp = StreamRtsp(url=url, timeout_seconds=timeout_s)
        self.frames = 0
        self.links: list[Link] = []
        self.changed = asyncio.Event()

    async def until(self, *, frames: int = 0, links: int = 0) -> list[Link]:
        work = functools.partial(
            pull,
            self._rtsp,
            spec=Stream(width=48, height=32),
            on_link=self._linked,
            first_pause_s=PAUSE_S,
        )
        task = asyncio.create_task(run_in_thread(work, on_frame=self._came))
        try:
            async with asyncio.timeout(30):
                while self.frames < frames or len(self.links) < links:
                    self.changed.clear()
                    await self.changed.wait()
        finally:
            task.cancel()
            await asyncio.wait([task])
        return self.links

    def _came(self, frame: Frame, size: int) -> bool:
        assert frame.shape == (32, 48, 3)
        assert size > 0
        self.frames += 1
        self.changed.set()
        return True

    def _linked(self, link: Link) -> None:
        self.links.append(link)
        self.changed.set()


async def test_a_camera_is_pulled_until_enough_has_come(tmp_path: Path) -> None:
    with Camera() as camera:
        spec = pulled(f"rtsp://{camera.address}/live", frames=10)
        async with configured(tmp_path, spec=spec) as (workload, context):
            assert workload.is_finite
            assert workload.capacities == {"viewer": 1}
            await context.reported("done")
            found = await figures(workload)
            assert found.frames_received == 10
            source = found.source
            assert source is not None
            assert (source.connected, source.connections) == (True, 1)
            assert (source.codec, source.width, source.height) == ("h264", WIDTH, HEIGHT)
            assert source.message is None


async def test_a_lost_camera_is_connected_again() -> None:
    with Camera(frames_per_connection=5) as camera:
        pulling = Pulling(f"rtsp://{camera.address}/live")
        links = await pulling.until(frames=12)
        assert camera.connections >= 3
    assert [link.connected for link in links[:4]] == [True, False, True, False]
    assert links[1].message == f"{camera.address} has ended the stream"


async def test_a_silent_camera_is_left() -> None:
    with Camera(silent_after=3) as camera:
        links = await Pulling(f"rtsp://{camera.address}/live", timeout_s=1).until(links=2)
    assert "within 1 s" in (links[-1].message or "")


async def test_a_server_that_never_answers_is_left() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        (link, *_) = await Pulling(f"rtsp://{address}/live", timeout_s=1).until(links=1)
    assert link == Link(connected=False, message=f"no answer from {address} within 1 s")


async def test_why_there_is_no_video_is_said_without_the_password() -> None:
    with Camera(password="open") as camera:
        at = f"viewer:wrong@{camera.address}"
        (refused, *_) = await Pulling(f"rtsp://{at}/live").until(links=1)
        (missing, *_) = await Pulling(f"rtsp://viewer:open@{camera.address}/x").until(links=1)
        pulling = Pulling(f"rtsp://viewer:open@{camera.address}/live")
        (good, *_) = await pulling.until(frames=1)
    (gone, *_) = await Pulling(f"rtsp://{at}/live").until(links=1)
    (nameless, *_) = await Pulling("rtsp://a:wrong@nowhere.invalid/live").until(links=1)
    assert good.connected
    for link, words in (
        (refused, "credentials"),
        (missing, "no such stream"),
        (gone, "refuses connections"),
        (nameless, "nowhere.invalid"),
    ):
        assert not link.connected
        assert words in (link.message or "")
        assert "wrong" not in (link.message or "")


async def test_pauses_grow_while_nothing_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    begun = time.monotonic()
    await Pulling(f"rtsp://127.0.0.1:{port}/live").until(links=4)
    assert time.monotonic() - begun >= PAUSE_S * (1 + 2 + 4)


async def test_drain_does_not_wait_for_a_camera(tmp_path: Path) -> None:
    with Camera(silent_after=3) as camera:
        spec = pulled(f"rtsp://{camera.address}/live")
        async with configured(tmp_path, spec=spec) as (workload, _), asyncio.timeout(20):
            while not camera.connections:  # noqa: ASYNC110  # the camera is in a thread
                await asyncio.sleep(0.01)
            await workload.drain()


def test_a_pulled_stream_needs_no_client() -> None:
    assert not SessionSpec(stream=pulled("rtsp://camera/live")).needs_client
