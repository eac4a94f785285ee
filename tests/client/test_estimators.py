import numpy as np
import pytest
from av import VideoFrame

from podstream_core.api import Estimator
from podstream_workloads.circle.draw import Canvas, YuvColor
from podstream_workloads.circle.estimators import (
    BallEstimator,
    HoughEstimator,
    MomentsEstimator,
    luma,
    make_estimator,
)


def _rmse(estimator: BallEstimator, canvas: Canvas, places: list[tuple[float, float]]) -> float:
    squares = []
    for x, y in places:
        found = estimator.estimate(canvas.draw(x, y))
        assert found is not None, f"no ball at {x}, {y}"
        squares.append((found[0] - x) ** 2 + (found[1] - y) ** 2)
    return float(np.sqrt(np.mean(squares)))


def _places(radius: int, count: int = 40) -> list[tuple[float, float]]:
    rng = np.random.default_rng(1)
    return [
        (float(x), float(y))
        for x, y in zip(
            rng.uniform(radius + 1, 318 - radius, count),
            rng.uniform(radius + 1, 238 - radius, count),
            strict=True,
        )
    ]


@pytest.mark.parametrize("radius", [6, 12, 20, 40, 80])
@pytest.mark.parametrize("color", ["#00ff00", "#ff8080", "#ffffff", "#40c0ff"])
def test_moments_find_the_centre_to_sub_pixel(radius: int, color: str) -> None:
    canvas = Canvas(width=320, height=240, radius=radius, color=YuvColor.from_hex(color))
    assert _rmse(MomentsEstimator(), canvas, _places(radius)) < 0.1


def test_a_ball_that_fills_half_of_the_picture_is_found() -> None:
    canvas = Canvas(width=64, height=64, radius=28, color=YuvColor.from_hex("#00ff00"))
    assert _rmse(MomentsEstimator(), canvas, [(31.0, 32.5), (30.2, 33.0)]) < 0.1


def test_hough_finds_the_ball_with_the_originals_kind_of_error() -> None:
    """With the options of the original's container; it errs by pixels and may miss a frame."""
    canvas = Canvas(width=640, height=480, radius=40, color=YuvColor.from_hex("#00ff00"))
    estimator = HoughEstimator(dp=5.845, min_dist=5)
    places = [(60.0 + 37 * step, 50.0 + 23 * step) for step in range(15)]
    found = [estimator.estimate(canvas.draw(*place)) for place in places]
    errors = [
        np.hypot(point[0] - place[0], point[1] - place[1])
        for place, point in zip(places, found, strict=True)
        if point is not None
    ]
    assert len(errors) >= 12
    assert np.median(errors) < 5


def _frame(picture: np.ndarray) -> VideoFrame:
    return VideoFrame.from_ndarray(picture, format="gray")


@pytest.mark.parametrize(
    "picture",
    [
        pytest.param(np.full((240, 320), 16, np.uint8), id="black"),
        pytest.param(np.full((240, 320), 235, np.uint8), id="white"),
        pytest.param(
            np.random.default_rng(2).normal(60, 4, (240, 320)).astype(np.uint8), id="noise"
        ),
        pytest.param(
            np.where(np.arange(320)[None, :] < 160, 16, 200).repeat(240, 0).astype(np.uint8),
            id="edge",
        ),
        pytest.param(
            np.where(
                (np.arange(320)[None, :] % 160 < 8) & (np.arange(240)[:, None] > 20), 200, 16
            ).astype(np.uint8),
            id="bars",
        ),
    ],
)
def test_no_ball_is_no_estimate_rather_than_a_wrong_one(picture: np.ndarray) -> None:
    assert MomentsEstimator().estimate(_frame(picture)) is None


def test_low_contrast_and_a_bright_background_are_no_obstacle() -> None:
    rows, columns = np.mgrid[0:240, 0:320]
    inside = (columns - 100.0) ** 2 + (rows - 80.0) ** 2 < 30**2
    picture = np.where(inside, 140, 180).astype(np.uint8)
    found = MomentsEstimator().estimate(_frame(picture))
    assert found == pytest.approx((100, 80), abs=0.2)


def test_a_ball_that_the_border_cuts_is_still_seen() -> None:
    rows, columns = np.mgrid[0:240, 0:320]
    inside = (columns - 310.0) ** 2 + (rows - 120.0) ** 2 < 20**2
    found = MomentsEstimator().estimate(_frame(np.where(inside, 180, 16).astype(np.uint8)))
    assert found is not None
    assert found[1] == pytest.approx(120, abs=0.3)


def test_padding_at_the_end_of_lines_is_not_looked_at() -> None:
    frame = VideoFrame(322, 240, "yuv420p")
    assert frame.planes[0].line_size > 322
    assert luma(frame).shape == (240, 322)


@pytest.mark.parametrize(
    ("method", "kind"), [("Moments", MomentsEstimator), ("Hough", HoughEstimator)]
)
def test_the_spec_names_the_estimator(method: str, kind: type[BallEstimator]) -> None:
    assert isinstance(make_estimator(Estimator.from_body({"method": method})), kind)
