"""A session that plays a video file: its own rate, once or again and again."""

import fractions
from pathlib import Path

import av
import numpy as np
import pytest

from podstream_core import names
from podstream_core.api import (
    Recording,
    RecordingCodec,
    SessionSpec,
    SourceType,
    Stream,
    StreamFile,
    StreamSource,
)
from podstream_workloads.stream.sources.decoding import SourceError
from podstream_workloads.stream.sources.file import find_file
from stream.test_workload import configured, figures
from stream.videos import open_video

FRAMES = 20
FPS = 50


def film(path: Path, *, frames: int = FRAMES) -> Path:
    """Every frame is grey, five brighter than the one before, at 96x64."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.time_base = fractions.Fraction(1, FPS)
        for number in range(frames):
            picture = np.full((64, 96, 3), 40 + 5 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode(None))
    return path


def played(path: str, *, loop: bool = False, frames: int = 0, claim: str | None = None) -> Stream:
    file = StreamFile(path=path, loop=loop, claim_name=claim)
    source = StreamSource(type=SourceType.FILE, file=file, frames=frames)
    return Stream(
        width=48, height=32, source=source, recording=Recording(codec=RecordingCodec.MJPG)
    )


async def test_every_frame_of_a_film_on_a_claim_is_taken_in_its_order(tmp_path: Path) -> None:
    film(tmp_path / names.SOURCE / "films" / "grey.mp4")
    spec = played("films/grey.mp4", claim="films")
    async with configured(tmp_path, spec=spec) as (workload, context):
        assert workload.is_finite
        assert workload.capacities == {"viewer": 1}
        await context.reported("done")
        found = await figures(workload)
        assert found.frames_received == FRAMES
        assert found.bytes_received > 0
        assert found.suspected_width is None
        await workload.drain()
        (artefact,) = (await workload.results()).artefacts
    video = open_video(artefact.path)
    assert (video.frames, video.width, video.height) == (FRAMES, 48, 32)
    with av.open(str(artefact.path)) as container:
        greys = [frame.to_ndarray(format="bgr24").mean() for frame in container.decode(video=0)]
    assert greys == sorted(greys)
    assert greys[-1] - greys[0] == pytest.approx(5 * (FRAMES - 1), abs=4)


async def test_it_plays_at_the_file_s_rate(tmp_path: Path) -> None:
    path = film(tmp_path / "grey.mp4")
    async with configured(tmp_path, spec=played(str(path))) as (workload, context):
        await context.reported("done")
        rate = (await figures(workload)).frames_per_second
        assert rate is not None
        assert rate <= FPS * 1.2  # a slow machine plays more slowly, never faster


async def test_a_loop_goes_on_behind_the_film_s_end(tmp_path: Path) -> None:
    path = film(tmp_path / "grey.mp4", frames=5)
    spec = played(str(path), loop=True, frames=13)
    async with configured(tmp_path, spec=spec) as (workload, context):
        assert workload.is_finite
        await context.reported("done")
        assert (await figures(workload)).frames_received == 13


async def test_a_loop_without_a_number_never_ends(tmp_path: Path) -> None:
    path = film(tmp_path / "grey.mp4", frames=5)
    async with configured(tmp_path, spec=played(str(path), loop=True)) as (workload, context):
        assert not workload.is_finite
        await context.reported("first frame")


@pytest.mark.parametrize("content", [b"", b"no film" * 1000], ids=["empty", "not-a-video"])
async def test_what_is_no_video_fails_the_session(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(content)
    async with configured(tmp_path, spec=played(str(path))) as (_, context):
        await context.reported("fail SourceFailed")


async def test_a_missing_file_fails_the_session(tmp_path: Path) -> None:
    async with configured(tmp_path, spec=played("/nowhere/film.mp4")) as (_, context):
        await context.reported("fail SourceFailed")


@pytest.mark.parametrize(
    ("path", "claim", "words"),
    [
        ("film.mp4", None, "no absolute path"),
        ("/nowhere/film.mp4", None, "the image has no file"),
        ("film.mp4", "films", "the claim films has no file film.mp4"),
        ("../secret", "films", "out of the claim"),
        ("link", "films", "out of the claim"),
    ],
)
def test_where_no_film_is_the_message_says_so(
    tmp_path: Path, path: str, claim: str | None, words: str
) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    (tmp_path / "secret").write_text("x")
    (volume / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(SourceError, match=words):
        find_file(StreamFile(path=path, claim_name=claim), volume=volume)


def test_a_played_stream_needs_no_client() -> None:
    assert not SessionSpec(stream=played("/film.mp4")).needs_client
