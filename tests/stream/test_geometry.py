"""Pictures of another width than declared are noticed, honest ones are not."""

import numpy as np
import pytest

from podstream_workloads.stream.frames import Frame
from podstream_workloads.stream.geometry import suspected_width
from podstream_workloads.stream.pattern import pattern

RNG = np.random.default_rng(3)


def natural(width: int, height: int) -> Frame:
    """Smooth in both directions with edges and sensor noise, as a camera's picture is."""
    rows, columns = np.mgrid[0:height, 0:width]
    light = 90 + 60 * np.sin(columns / width * 5) + 50 * np.cos(rows / height * 4)
    light += 60.0 * ((columns - width * 0.6) ** 2 + (rows - height * 0.4) ** 2 < (height / 5) ** 2)
    noisy = light[..., None] + np.array([0, 12, -9]) + RNG.normal(0, 4, (height, width, 3))
    picture: Frame = np.clip(noisy, 0, 255).astype(np.uint8)
    return picture


def as_received(picture: Frame, width: int, height: int) -> Frame:
    """The first frame that a session of another size cuts out of the bytes."""
    size = width * height * 3
    data = np.resize(picture.reshape(-1), size)
    return data.reshape(height, width, 3)


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (320, 240), (800, 600), (1920, 1080)])
def test_another_width_is_named(width: int, height: int) -> None:
    assert suspected_width(as_received(natural(width, height), 640, 480)) == width


@pytest.mark.parametrize(
    "picture",
    [
        pytest.param(natural(640, 480), id="natural"),
        pytest.param(next(pattern(640, 480)), id="pattern"),
        pytest.param(np.zeros((480, 640, 3), np.uint8), id="black"),
        pytest.param(np.full((480, 640, 3), 255, np.uint8), id="white"),
        pytest.param(RNG.integers(0, 256, (480, 640, 3), dtype=np.uint8), id="noise"),
    ],
)
def test_the_declared_width_stands_unless_another_fits_far_better(picture: Frame) -> None:
    assert suspected_width(picture) == 640


def test_a_small_picture_is_looked_at_too() -> None:
    assert suspected_width(natural(16, 16)) == 16
