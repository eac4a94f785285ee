from itertools import pairwise

import pytest

from podstream_workloads.media.encoders.mode import KeyFrameGate, Mode, ModeGovernor, SteppedRate
from podstream_workloads.media.encoders.settings import EncoderSettings, encoder_settings

FPS = 30


def _run(governor: ModeGovernor, *, seconds: float, rate: int, start: float) -> list[Mode]:
    frames = round(seconds * FPS)
    return [
        governor.sent(rate // FPS, now=start + index / FPS, budget=1_000_000)
        for index in range(frames)
    ]


def test_quality_stays_while_the_budget_holds() -> None:
    assert set(_run(ModeGovernor(), seconds=30, rate=990_000, start=0)) == {Mode.QUALITY}


def test_quality_gives_way_within_a_second_over_the_budget() -> None:
    modes = _run(ModeGovernor(), seconds=1, rate=2_000_000, start=0)
    assert modes[0] is Mode.QUALITY
    assert modes[-1] is Mode.RATE


def test_a_huge_excess_is_noticed_within_two_frames() -> None:
    assert _run(ModeGovernor(), seconds=0.1, rate=40_000_000, start=0)[1] is Mode.RATE


def test_quality_is_tried_again_ever_more_rarely_while_it_fails() -> None:
    governor, tries, last = ModeGovernor(), [], Mode.QUALITY
    for index in range(400 * FPS):
        rate = 5_000_000 if governor.mode is Mode.QUALITY else 900_000
        mode = governor.sent(rate // FPS, now=index / FPS, budget=1_000_000)
        if mode is Mode.QUALITY and last is Mode.RATE:
            tries.append(index / FPS)
        last = mode
    gaps = [after - before for before, after in pairwise([0.0, *tries])]
    assert gaps == pytest.approx([10, 20, 40, 80, 160], abs=1)


def test_key_frames_on_demand_come_at_most_once_a_second_and_none_is_forgotten() -> None:
    gate = KeyFrameGate()
    asked = {0, 5, 6, 20, 45, 46, 200}
    keys = [i for i in range(300) if gate.is_due(asked=i in asked, now=i / FPS)]
    assert keys == [30, 60, 120, 180, 210, 270]


def test_a_key_frame_of_the_encoders_own_serves_a_demand() -> None:
    gate = KeyFrameGate()
    assert not gate.is_due(asked=True, now=0)
    assert not gate.is_due(asked=True, now=0.5)
    gate.made(now=0.9)
    assert not any(gate.is_due(asked=False, now=1 + i / FPS) for i in range(55))


def test_key_frames_are_two_seconds_apart_however_few_frames_there_are() -> None:
    gate = KeyFrameGate()
    assert [gate.is_due(asked=False, now=i * 0.5) for i in range(10)] == [
        *([False] * 4),
        True,
        *([False] * 3),
        True,
        False,
    ]


def test_a_stepped_rate_ignores_small_changes_and_rests_between_big_ones() -> None:
    rate = SteppedRate(1_000_000)
    assert not rate.follow(1_400_000, now=0)
    assert rate.follow(1_600_000, now=0)
    assert not rate.follow(600_000, now=1.9)
    assert rate.follow(600_000, now=2.1)
    assert rate.rate == 600_000


@pytest.mark.parametrize(
    ("kbps", "bounds"),
    [
        pytest.param((0, 0), (250_000, 8_709_120), id="from the picture"),
        pytest.param((0, 500), (250_000, 500_000), id="a cap"),
        pytest.param((0, 100), (100_000, 100_000), id="a cap below the usual floor"),
        pytest.param((20_000, 0), (20_000_000, 20_000_000), id="a floor above the usual cap"),
    ],
)
def test_the_bitrate_range_follows_the_spec(kbps: tuple[int, int], bounds: tuple[int, int]) -> None:
    settings = encoder_settings(
        quality="Balanced", width=1920, height=1080, fps=30, min_kbps=kbps[0], max_kbps=kbps[1]
    )
    assert (settings.min_bitrate, settings.max_bitrate) == bounds
    assert bounds[0] <= settings.start_bitrate <= bounds[1]


def test_the_receivers_word_moves_the_budget_within_the_range_only() -> None:
    settings = EncoderSettings("Balanced", 30, 300_000, 900_000)
    assert [settings.clamp(rate) for rate in (1, 500_000, 10**9)] == [300_000, 500_000, 900_000]
