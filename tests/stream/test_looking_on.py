"""Circle looks at the frames of the session's stream: one upload, decoded once."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from circle.players import figures_of
from fakes.balls import Scene
from fakes.context import Context
from fakes.video import write_video
from podstream_core.agentapi import Protocol
from podstream_core.api import SessionSpec
from podstream_workloads.agent import Connection, SpecRejected, UnsupportedOffer
from podstream_workloads.circle.workload import CircleWorkload
from podstream_workloads.client.options import parse
from podstream_workloads.client.publisher import Publisher
from podstream_workloads.client.summary import Summary
from podstream_workloads.client.video import VideoSource
from podstream_workloads.client.whep import SignallingClient
from podstream_workloads.sharing import FrameReader
from podstream_workloads.stream.workload import StreamWorkload
from stream.rtc_clients import media_context
from stream.test_workload import figures

pytestmark = pytest.mark.media

SCENE = Scene(width=320, height=240, radius=24)


class ToStream(SignallingClient):
    """Hands a publisher's offer to the stream without HTTP."""

    def __init__(self, workload: StreamWorkload) -> None:
        self._workload = workload

    async def exchange(self, offer_sdp: str, *, timeout_s: float) -> str:
        connection = Connection(id=uuid.uuid4().hex, role="publisher", protocol=Protocol.WHIP)
        return await self._workload.connect_whep(connection, offer_sdp=offer_sdp)

    async def leave(self) -> None: ...


def spec(source: dict[str, Any], **circle: Any) -> SessionSpec:
    stream = {"width": SCENE.width, "height": SCENE.height, "source": source}
    return SessionSpec.from_body({"stream": stream, "circle": {"source": "Stream", **circle}})


@asynccontextmanager
async def both(
    session: SessionSpec, folder: Path
) -> AsyncIterator[tuple[StreamWorkload, CircleWorkload, Context]]:
    """Stream and circle of one session; the context is circle's."""
    stream, circle = StreamWorkload(), CircleWorkload()
    contexts = media_context(folder), media_context(folder)
    try:
        async with asyncio.TaskGroup() as group:  # in any order, as in a pod
            group.create_task(circle.configure(session, contexts[1]))
            group.create_task(stream.configure(session, contexts[0]))
        yield stream, circle, contexts[1]
    finally:
        await circle.drain()
        await stream.drain()


async def test_one_upload_is_recorded_and_its_ball_found_and_told(tmp_path: Path) -> None:
    places = write_video(tmp_path / "ball.mp4", SCENE, frames=60)
    session, summary = spec({"type": "WHIP"}, frames=25), Summary()
    source = VideoSource(str(tmp_path / "ball.mp4"), form=None, loop=True)
    with ThreadPoolExecutor(1) as pool:
        async with both(session, tmp_path) as (stream, circle, context):
            assert stream.capacities == {"publisher": 1, "viewer": 1}
            assert circle.capacities == {}
            assert circle.is_finite
            publisher = Publisher(
                parse(["--url", "http://unused"], environment={}),
                signalling=ToStream(stream),
                source=source,
                pool=pool,
                summary=summary,
            )
            sending = asyncio.create_task(publisher.play(connect_timeout_s=5))
            try:
                await context.reported("first frame")
                await context.reported("done")
            finally:
                sending.cancel()
                await publisher.close()
            await circle.drain()
            seen, came = await figures_of(circle), await figures(stream)
            table, _ = (await circle.results()).artefacts
    source.close()
    assert seen.frames_found == 25
    # Each frame of the stream was looked at or replaced, but for those after the last look.
    assert 25 <= seen.frames_received <= came.frames_received
    looked = seen.frames_received - seen.frames_dropped
    assert looked >= seen.frames_found + seen.frames_missed
    assert seen.rmse_px is None
    assert seen.codec is None
    assert "320x240" in seen.summary
    assert came.source is not None
    assert came.source.connections == 1
    # The publisher hears of its own frames by its own time stamps.
    assert summary.estimated >= 15
    rows = [line.split(",") for line in table.path.read_text().splitlines()[1:]]
    for row in rows:
        x, y = float(row[3]), float(row[4])
        assert min((x - ax) ** 2 + (y - ay) ** 2 for ax, ay in places) < 0.2**2


async def test_frames_of_a_file_are_looked_at_without_any_client(tmp_path: Path) -> None:
    write_video(tmp_path / "ball.mp4", SCENE, frames=40)
    session = spec({"type": "File", "file": {"path": str(tmp_path / "ball.mp4"), "loop": True}})
    async with both(session, tmp_path) as (_, circle, _):
        assert not circle.is_finite
        async with asyncio.timeout(20):
            while (await figures_of(circle)).frames_found < 10:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        found = await figures_of(circle)
        assert found.frames_found + found.frames_missed + found.frames_dropped == (
            found.frames_received
        )
        connection = Connection(id="c", role="player", protocol=Protocol.WHEP)
        with pytest.raises(UnsupportedOffer, match="publish there"):
            await circle.connect_whep(connection, offer_sdp="")


async def test_a_stopped_stream_shows_nothing(tmp_path: Path) -> None:
    session = SessionSpec.from_body(
        {
            "stream": {"state": "Stopped", "source": {"type": "Synthetic", "fps": 60}},
            "circle": {"source": "Stream"},
        }
    )
    async with both(session, tmp_path) as (stream, circle, _):
        async with asyncio.timeout(20):
            while (await figures(stream)).frames_discarded < 5:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert (await figures_of(circle)).frames_received == 0


async def test_without_its_stream_it_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect(path: Path) -> FrameReader:
        raise FileNotFoundError(2, "No such file", str(path))

    monkeypatch.setattr(FrameReader, "connect", connect)
    with pytest.raises(SpecRejected, match="shows no frames"):
        await CircleWorkload().configure(spec({}), Context(tmp_path))
