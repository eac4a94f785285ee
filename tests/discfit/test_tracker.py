"""What the disc fit sees, how exactly, and what it must not see."""

from dataclasses import replace

import numpy as np
import pytest
from av import VideoFrame

from fakes.balls import Errors, Scene, errors, path, polygon, render
from podstream_workloads.discfit.search import circle_through
from podstream_workloads.discfit.tracker import DiscTracker
from podstream_workloads.discfit.values import Limits

SMALL = Scene(width=320, height=240, radius=20)
EMPTY = -100.0
"""A ball whose centre is there is not in the picture."""


def _track(scene: Scene, *, frames: int = 30, limits: Limits | None = None) -> Errors:
    rng, tracker, pairs = np.random.default_rng(7), DiscTracker(limits), []
    for index, place in enumerate(path(scene, frames, seed=11)):
        frame = render(scene, *place, rng=rng)
        frame.pts = index * 3000
        ball = tracker.find(frame)
        pairs.append((place, None if ball is None else (ball.x, ball.y)))
    return errors(pairs)


def _bound(scene: Scene) -> float:
    """sqrt(2 / (pi r G)) s/A; G = 0.96 for an edge that only pixels blur, s includes rounding."""
    contrast = abs(scene.color[0] - scene.background[0])
    deviation = (scene.noise**2 + 1 / 12) ** 0.5
    return float(0.814 / scene.radius**0.5 * deviation / contrast)


@pytest.mark.parametrize("noise", [2, 5, 10, 20])
def test_white_noise_leaves_the_error_that_the_bound_allows(noise: float) -> None:
    scene = replace(SMALL, noise=noise, color=(145, 128, 128))
    seen = _track(scene, frames=60)
    assert seen.missed == 0
    assert seen.rmse < 1.35 * _bound(scene)


@pytest.mark.parametrize(
    ("scene", "most"),
    [
        pytest.param(SMALL, 0.005, id="clean"),
        pytest.param(replace(SMALL, radius=5), 0.02, id="radius 5"),
        pytest.param(replace(SMALL, radius=100), 0.005, id="most of the picture"),
        pytest.param(replace(SMALL, color=(33, 128, 128)), 0.02, id="contrast 17"),
        pytest.param(replace(SMALL, color=(23, 128, 128)), 0.03, id="contrast 7"),
        pytest.param(
            replace(SMALL, background=(235, 128, 128), color=(60, 128, 128)), 0.01, id="dark"
        ),
        pytest.param(
            replace(SMALL, background=(120, 128, 128), color=(120, 90, 160)), 0.02, id="hue only"
        ),
        pytest.param(
            replace(SMALL, slope=100, background=(80, 128, 128), color=(180, 54, 34)),
            0.01,
            id="gradient",
        ),
        pytest.param(replace(SMALL, shutter=0.5, speed=(12, 8)), 0.02, id="motion blur"),
        pytest.param(replace(SMALL, speed=(40, 25)), 0.005, id="fast"),
    ],
)
def test_the_ball_is_found_in_every_frame(scene: Scene, most: float) -> None:
    seen = _track(scene)
    assert seen.missed == 0
    assert seen.rmse < most


@pytest.mark.parametrize("depth", [-12.0, 0.0, 12.0])
@pytest.mark.parametrize("side", ["left", "top", "right", "bottom"])
def test_a_ball_that_the_border_cuts_is_found_where_it_is(side: str, depth: float) -> None:
    scene = replace(SMALL, radius=30)
    x, y = {
        "left": (depth, 120.3),
        "top": (160.2, depth),
        "right": (319 - depth, 120.3),
        "bottom": (160.2, 239 - depth),
    }[side]
    ball = DiscTracker().find(render(scene, x, y, rng=np.random.default_rng(1)))
    assert ball is not None
    assert (ball.x, ball.y) == pytest.approx((x, y), abs=0.1)


def _empty(scene: Scene, seed: int) -> VideoFrame:
    return render(replace(scene, radius=1), EMPTY, EMPTY, rng=np.random.default_rng(seed))


@pytest.mark.parametrize(
    "scene",
    [
        pytest.param(SMALL, id="flat"),
        pytest.param(replace(SMALL, noise=8), id="noise 8"),
        pytest.param(replace(SMALL, noise=20), id="noise 20"),
        pytest.param(replace(SMALL, slope=150, background=(100, 128, 128)), id="gradient"),
    ],
)
def test_without_a_ball_there_is_no_estimate(scene: Scene) -> None:
    tracker = DiscTracker()
    assert all(tracker.find(_empty(scene, seed)) is None for seed in range(12))


@pytest.mark.parametrize("corners", [3, 4, 5, 6])
@pytest.mark.parametrize("radius", [30, 60])
def test_a_polygon_is_no_ball(corners: int, radius: int) -> None:
    scene = Scene(radius=radius)
    for turn in range(6):
        shape = polygon(scene, corners, 300.3 + turn, 200.7, turn=turn / 7)
        assert DiscTracker().find(shape) is None


def test_a_ball_that_vanishes_is_not_seen_any_more_and_found_again_elsewhere() -> None:
    tracker, rng = DiscTracker(), np.random.default_rng(1)
    assert tracker.find(render(SMALL, 100, 100, rng=rng)) is not None
    assert tracker.find(_empty(SMALL, 1)) is None
    ball = tracker.find(render(SMALL, 250.5, 60.25, rng=rng))
    assert ball is not None
    assert (ball.x, ball.y) == pytest.approx((250.5, 60.25), abs=0.02)


def test_a_jump_out_of_the_window_costs_no_frame() -> None:
    tracker, rng = DiscTracker(), np.random.default_rng(1)
    for x, y in ((40.0, 40.0), (43.0, 42.0), (280.0, 200.0)):
        ball = tracker.find(render(SMALL, x, y, rng=rng))
        assert ball is not None
        assert (ball.x, ball.y) == pytest.approx((x, y), abs=0.02)


def test_a_known_size_or_colour_picks_the_ball_among_discs() -> None:
    rng = np.random.default_rng(1)
    frame = render(replace(SMALL, radius=40, color=(180, 90, 90)), 80, 100, rng=rng)
    other = render(SMALL, 250, 150, rng=rng)
    for target, source in zip(frame.planes, other.planes, strict=True):
        half = target.width // 2
        views = [
            np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)  # type: ignore[call-overload]
            for plane in (target, source)
        ]
        views[0][:, half : target.width] = views[1][:, half : target.width]
    for limits, place in (
        (Limits(14, 26), (250, 150)),
        (Limits(28, 52), (80, 100)),
        (Limits(color=(145, 54, 34)), (250, 150)),
        (Limits(color=(180, 90, 90)), (80, 100)),
    ):
        ball = DiscTracker(limits).find(frame)
        assert ball is not None
        assert (ball.x, ball.y) == pytest.approx(place, abs=0.05)
    assert DiscTracker(Limits(color=(100, 200, 90))).find(frame) is None


def test_a_new_size_of_picture_starts_over() -> None:
    tracker, rng = DiscTracker(), np.random.default_rng(1)
    for scene in (SMALL, Scene(), SMALL):
        ball = tracker.find(render(scene, 150.5, 100.25, rng=rng))
        assert ball is not None
        assert (ball.x, ball.y) == pytest.approx((150.5, 100.25), abs=0.02)


def test_other_pixel_formats_are_converted() -> None:
    frame = render(Scene(), 200, 150, rng=np.random.default_rng(1)).reformat(format="rgb24")
    ball = DiscTracker().find(frame)
    assert ball is not None
    assert (ball.x, ball.y) == pytest.approx((200, 150), abs=0.1)


def test_a_circle_is_put_through_an_arc() -> None:
    angle = np.linspace(0.3, 1.9, 40)
    arc = np.column_stack((50 + 30 * np.cos(angle), -20 + 30 * np.sin(angle)))
    assert circle_through(arc) == pytest.approx((50, -20, 30), abs=1e-6)
    line = np.column_stack((np.arange(9.0), 2 * np.arange(9.0)))
    assert circle_through(line) is None or circle_through(line)[2] > 1e6  # type: ignore[index]
