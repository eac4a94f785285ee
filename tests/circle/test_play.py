"""The workload plays real clients over loopback: real RTP, real DTLS, real data channels."""

import asyncio
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from av import VideoFrame

from circle.players import Context, Direct, figures_of, play, playing, spec
from podstream_core.api import Circle, Codec, SessionSpec
from podstream_core.ports import MEDIA_PORT_FIRST
from podstream_workloads.agent import (
    BadOffer,
    SpecRejected,
    UnsupportedOffer,
)
from podstream_workloads.circle.estimators import (
    BallEstimator,
    MomentsEstimator,
    Point,
)
from podstream_workloads.circle.workload import CircleWorkload
from podstream_workloads.client.options import parse
from podstream_workloads.client.player import Player
from podstream_workloads.client.summary import Summary

pytestmark = pytest.mark.media


@pytest.mark.parametrize("codec", list(Codec))
async def test_an_honest_client_is_scored_near_the_codecs_bound(
    codec: Codec, tmp_path: Path
) -> None:
    results = await play(spec(codec=codec.value), tmp_path)
    assert results.codec is codec
    assert results.frames_scored == 40
    assert results.frames_unmatched == 0
    assert results.rmse_px is not None
    assert results.rmse_px < 0.05
    table = (tmp_path / "frames.csv").read_text().splitlines()
    assert len(table) == 41


async def test_a_known_offset_is_scored_with_exactly_that_offset(tmp_path: Path) -> None:
    results = await play(spec(), tmp_path, "--offset", "3,4")
    assert results.rmse_px == pytest.approx(3.54, abs=0.5)
    assert results.rmse_euclidean_px == pytest.approx(5.0, abs=0.5)


@pytest.mark.parametrize(
    "flags",
    [
        pytest.param(["--drop-first", "10"], id="first ten frames lost"),
        pytest.param(["--join-late", "1.2"], id="packets of the first second lost"),
    ],
)
async def test_frames_are_matched_however_the_client_starts(
    flags: list[str], tmp_path: Path
) -> None:
    results = await play(spec(), tmp_path, *flags)
    assert results.frames_unmatched == 0
    assert results.rmse_px is not None
    assert results.rmse_px < 1


@pytest.mark.parametrize("codec", list(Codec))
async def test_the_number_in_the_picture_names_the_frame_that_its_timestamp_names(
    codec: Codec, tmp_path: Path
) -> None:
    coded = spec(codec=codec.value, frameCode=True)
    results = await play(coded, tmp_path, "--frame-code", "--join-late", "1.2")
    assert results.codes_differed == 0
    assert results.codes_agreed >= results.frames_scored == 40


class _Blind(BallEstimator):
    """Answers without looking: what a client would say that is fed other pictures."""

    def __init__(self, guess: Callable[[], Point]) -> None:
        self._guess = guess

    def estimate(self, frame: VideoFrame) -> Point:
        return self._guess()


async def test_another_sessions_ball_scores_badly(tmp_path: Path) -> None:
    rng = np.random.default_rng()
    x, y = rng.uniform(20, 300), rng.uniform(20, 220)

    def elsewhere() -> Point:
        """A ball of the same law that started somewhere else."""
        nonlocal x, y
        x, y = 20 + (x - 20 + 3) % 280, 20 + (y - 20 + 3) % 200
        return x, y

    results = await play(spec(frames=60), tmp_path, estimator=_Blind(elsewhere))
    assert results.rmse_px is not None
    assert results.rmse_px > 20


class _Black(MomentsEstimator):
    """Sees a black picture in place of every frame."""

    def estimate(self, frame: VideoFrame) -> Point | None:
        return super().estimate(
            VideoFrame.from_ndarray(np.full((240, 320), 16, np.uint8), format="gray")
        )


async def test_black_frames_give_no_score_at_all(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        async with playing(spec(), tmp_path) as (workload, context):
            player = Player(
                parse(["--url", "http://unused"], environment={}),
                signalling=Direct(workload),
                estimator=_Black(),
                pool=pool,
                summary=Summary(),
            )
            play_task = asyncio.create_task(player.play(connect_timeout_s=5))
            try:
                async with asyncio.timeout(15):
                    await context.missed(20, of=workload)
            finally:
                play_task.cancel()
                await player.close()
            results = await figures_of(workload)
            assert (results.frames_scored, results.rmse_px) == (0, None)
            assert context.came


async def test_a_client_that_leaves_frees_its_media_port(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        async with playing(spec(frames=0), tmp_path) as (workload, context):
            for turn in range(3):
                context.finished.clear()
                player = Player(
                    parse(["--url", "http://unused", "--frames", "5"], environment={}),
                    signalling=Direct(workload),
                    estimator=MomentsEstimator(),
                    pool=pool,
                    summary=Summary(),
                )
                async with asyncio.timeout(20):
                    await player.play(connect_timeout_s=5)
                    await player.close()
                    await context.finished.wait()
                assert len(context.came) == turn + 1
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.bind(("127.0.0.1", MEDIA_PORT_FIRST))


@pytest.mark.parametrize(
    ("sdp", "error"),
    [
        pytest.param("", BadOffer, id="empty"),
        pytest.param("junk", BadOffer, id="junk"),
        pytest.param("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n", BadOffer, id="no media"),
        pytest.param(
            "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
            "m=audio 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=recvonly\r\na=mid:0\r\n"
            "a=rtpmap:96 opus/48000/2\r\n",
            UnsupportedOffer,
            id="audio only",
        ),
        pytest.param(
            "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
            "m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=recvonly\r\na=mid:0\r\n"
            "a=rtpmap:96 AV1/90000\r\n",
            UnsupportedOffer,
            id="unknown codec",
        ),
    ],
)
async def test_offers_that_cannot_be_played_are_refused(
    sdp: str, error: type[Exception], tmp_path: Path
) -> None:
    async with playing(spec(), tmp_path) as (workload, _):
        with pytest.raises(error):
            await Direct(workload).exchange(sdp, timeout_s=1)


@pytest.mark.parametrize(
    ("circle", "reason"),
    [
        pytest.param({"width": 64, "height": 64, "ball": {"radius": 40}}, "radius", id="ball"),
        pytest.param({"bitrate": {"minKbps": 900, "maxKbps": 800}}, "minKbps", id="bitrate"),
        pytest.param({"estimator": {"minRadius": 9, "maxRadius": 8}}, "minRadius", id="radii"),
    ],
)
async def test_what_cannot_be_played_is_refused(
    circle: dict[str, object], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(SpecRejected, match=reason):
        await CircleWorkload().configure(
            SessionSpec(circle=Circle.from_body(circle)), Context(tmp_path)
        )
