"""The encoders with real codecs, decoded again: accuracy, budget, key frames."""

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import Any

import av
import numpy as np
import pytest
from av import VideoFrame

from fakes.balls import Scene, errors, path, render
from podstream_workloads.discfit.tracker import DiscTracker
from podstream_workloads.media.encoders.base import BudgetEncoder
from podstream_workloads.media.encoders.h264 import H264Encoder
from podstream_workloads.media.encoders.mode import Mode
from podstream_workloads.media.encoders.settings import EncoderSettings, Quality
from podstream_workloads.media.encoders.vp8 import Vp8Encoder

SMALL = Scene(width=320, height=240, radius=20)
BOTH = pytest.mark.parametrize("make", [H264Encoder, Vp8Encoder])
Make = Callable[[EncoderSettings], BudgetEncoder]


def _settings(quality: Quality = "Balanced", *, most: int = 2_000_000) -> EncoderSettings:
    return EncoderSettings(quality, 30, 100_000, most)


def _frames(scene: Scene, count: int) -> list[tuple[tuple[float, float], VideoFrame]]:
    rng, found = np.random.default_rng(2), []
    for index, place in enumerate(path(scene, count, seed=4)):
        frame = render(scene, *place, rng=rng)
        frame.pts, frame.time_base = index * 3000, Fraction(1, 90_000)
        found.append((place, frame))
    return found


def _decoder(encoder: BudgetEncoder) -> Any:
    return av.CodecContext.create("h264" if isinstance(encoder, H264Encoder) else "vp8", "r")


def _is_key(encoder: BudgetEncoder, data: bytes) -> bool:
    """First bit of a VP8 frame; an IDR unit in H264."""
    if isinstance(encoder, Vp8Encoder):
        return not data[0] & 1
    return b"\x00\x00\x01\x65" in data


@BOTH
@pytest.mark.parametrize("quality", ["Accuracy", "Balanced", "Speed"])
def test_the_edge_stays_where_it_was_drawn(make: Make, quality: Quality) -> None:
    encoder = make(_settings(quality))
    decoder, tracker, pairs = _decoder(encoder), DiscTracker(), []
    for place, frame in _frames(SMALL, 40):
        for decoded in decoder.decode(av.Packet(encoder.encode_picture(frame))):
            ball = tracker.find(decoded)
            pairs.append((place, None if ball is None else (ball.x, ball.y)))
    seen = errors(pairs)
    assert (seen.missed, seen.frames) == (0, 40)
    assert seen.rmse < (0.02 if quality != "Speed" else 0.04)
    assert encoder.mode is Mode.QUALITY


@BOTH
def test_quality_gives_way_on_pictures_that_it_could_not_pay_for(make: Make) -> None:
    scene = Scene(width=320, height=240, radius=20, noise=10)
    encoder = make(_settings(most=800_000))
    encoder.target_bitrate = 800_000
    sizes = [8 * len(encoder.encode_picture(frame)) for _, frame in _frames(scene, 120)]
    assert encoder.mode is Mode.RATE
    assert sum(sizes[60:]) / 2 < 1.5 * 800_000


@BOTH
def test_a_bitrate_is_followed(make: Make) -> None:
    scene = Scene(width=320, height=240, radius=20, noise=10)
    encoder = make(_settings())
    frames = _frames(scene, 60)
    rates, keys = [], []
    for second in range(9):
        encoder.target_bitrate = (1_500_000, 300_000, 1_500_000)[second // 3]
        bits = 0
        for index in range(30):
            frame = frames[(30 * second + index) % 60][1]
            frame.pts = (30 * second + index) * 3000
            data = encoder.encode_picture(frame)
            keys.append(_is_key(encoder, data))
            bits += 8 * len(data)
        rates.append(bits)
    assert rates[5] < 0.5 * rates[2]
    assert rates[8] > 2 * rates[5]
    if make is H264Encoder:
        # In place: no key frames but those of the 2 s interval, the start and the change of mode.
        assert sum(keys) <= 7


@BOTH
def test_lost_pictures_are_answered_at_most_once_a_second(make: Make) -> None:
    encoder = make(EncoderSettings("Balanced", 240, 100_000, 2_000_000))
    keys = [
        index
        for index, (_, frame) in enumerate(_frames(SMALL, 70))
        if _is_key(encoder, encoder.encode_picture(frame, force_keyframe=index % 3 == 0))
    ]
    assert keys == [0, 30, 60]


@BOTH
def test_key_frames_come_by_themselves_every_two_seconds(make: Make) -> None:
    encoder = make(EncoderSettings("Speed", 10, 100_000, 2_000_000))
    keys = [
        index
        for index, (_, frame) in enumerate(_frames(SMALL, 45))
        if _is_key(encoder, encoder.encode_picture(frame))
    ]
    assert keys[0] == 0
    assert max(after - before for before, after in pairwise(keys)) <= 20
    assert len(keys) >= 3


@BOTH
def test_another_size_or_format_of_picture_is_taken(make: Make) -> None:
    encoder = make(_settings())
    sizes = []
    decoder = _decoder(encoder)
    for index, scene in enumerate((SMALL, Scene(width=640, height=360, radius=20))):
        frame = render(scene, 100, 100, rng=np.random.default_rng(1))
        frame = frame.reformat(format="rgb24") if scene is SMALL else frame
        frame.pts, frame.time_base = index, Fraction(1, 30)
        data = encoder.encode_picture(frame)
        sizes += [(shown.width, shown.height) for shown in decoder.decode(av.Packet(data))]
    sizes += [(shown.width, shown.height) for shown in decoder.decode(None)]
    assert sizes == [(320, 240), (640, 360)]


@BOTH
def test_payloads_carry_the_pictures_time_and_fit_into_packets(make: Make) -> None:
    _, frame = _frames(Scene(width=320, height=240, radius=20, noise=10), 3)[2]
    payloads, time = make(_settings()).encode(frame)
    assert time == 6000
    assert len(payloads) > 1
    assert max(len(payload) for payload in payloads) <= 1300
