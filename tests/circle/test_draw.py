import random
from typing import Any

import numpy as np
import pytest

from fakes.balls import errors
from podstream_core.api import Ball
from podstream_workloads.circle.color import ball_color
from podstream_workloads.circle.draw import BLACK, Canvas, YuvColor
from podstream_workloads.discfit.tracker import DiscTracker

GREEN = YuvColor.from_rgb(0, 255, 0)


def _coverage(canvas: Canvas, x: float, y: float) -> np.ndarray:
    plane = canvas.draw(x, y).planes[0]
    luma = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)  # type: ignore[call-overload]
    covered: np.ndarray = (luma[:240, :320].astype(float) - BLACK.y) / (GREEN.y - BLACK.y)
    return covered


@pytest.fixture
def canvas() -> Canvas:
    return Canvas(width=320, height=240, radius=20, color=GREEN)


@pytest.mark.parametrize(
    ("x", "y"),
    [(20.0, 20.0), (100.25, 77.75), (298.9, 218.9), (160.5, 120.5), (298.4, 20.1)],
)
def test_the_drawn_disc_has_its_centre_and_area_to_sub_pixel(
    canvas: Canvas, x: float, y: float
) -> None:
    covered = _coverage(canvas, x, y)
    rows, columns = np.mgrid[0:240, 0:320]
    mass = covered.sum()
    assert mass == pytest.approx(np.pi * 20**2, rel=0.01)
    assert (covered * columns).sum() / mass == pytest.approx(x, abs=0.02)
    assert (covered * rows).sum() / mass == pytest.approx(y, abs=0.02)


def test_nothing_of_older_balls_is_left(canvas: Canvas) -> None:
    for x in range(20, 300, 7):
        covered = _coverage(canvas, float(x), 100.0)
        assert covered.sum() == pytest.approx(np.pi * 20**2, rel=0.01)


def test_chroma_follows_luma(canvas: Canvas) -> None:
    frame = canvas.draw(160.0, 120.0)
    pixel = frame.to_ndarray(format="rgb24")[120, 160]
    assert np.abs(pixel.astype(int) - [0, 255, 0]).max() <= 3
    assert frame.to_ndarray(format="rgb24")[5, 5].max() <= 2


@pytest.mark.parametrize(
    ("rgb", "yuv"),
    [
        pytest.param((0, 0, 0), (16, 128, 128), id="black"),
        pytest.param((255, 255, 255), (235, 128, 128), id="white"),
        pytest.param((0, 255, 0), (145, 54, 34), id="green"),
        pytest.param((255, 0, 0), (81, 90, 240), id="red"),
    ],
)
def test_colours_convert_as_bt601(rgb: tuple[int, int, int], yuv: tuple[int, int, int]) -> None:
    color = YuvColor.from_rgb(*rgb)
    assert (color.y, color.u, color.v) == yuv
    assert YuvColor.from_hex("#{:02x}{:02x}{:02x}".format(*rgb)) == color


def test_the_fixed_ball_is_pure_green_and_random_ones_stand_out() -> None:
    rng = random.Random(1)
    assert ball_color(Ball(motion="Fixed"), rng=rng) == GREEN
    drawn = {ball_color(Ball(), rng=rng) for _ in range(200)}
    assert len(drawn) > 150
    assert min(color.y for color in drawn) >= 110
    assert ball_color(Ball(color="#ff0000"), rng=rng) == YuvColor.from_rgb(255, 0, 0)


@pytest.mark.parametrize("radius", [8, 20, 40])
def test_the_centre_that_can_be_measured_is_the_one_that_was_meant(radius: int) -> None:
    rng = random.Random(4)
    canvas = Canvas(width=320, height=240, radius=radius, color=GREEN)
    pairs: list[Any] = []
    for _ in range(40):
        x, y = rng.uniform(radius, 320 - radius), rng.uniform(radius, 240 - radius)
        ball = DiscTracker().find(canvas.draw(x, y))
        pairs.append(((x, y), None if ball is None else (ball.x, ball.y)))
    seen = errors(pairs)
    assert seen.missed == 0
    assert seen.rmse < 0.0015
