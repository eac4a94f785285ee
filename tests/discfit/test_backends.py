"""The compiled loops and the numpy ones mean the same."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from fakes.balls import Scene, path, render
from podstream_workloads.discfit import plain
from podstream_workloads.discfit.search import Grid
from podstream_workloads.discfit.tracker import DiscTracker
from podstream_workloads.discfit.values import Blob, Limits, Plane, planes_of

_kernel = pytest.importorskip("podstream_workloads.discfit._kernel")

SCENES = [
    pytest.param(Scene(radius=8), id="small"),
    pytest.param(Scene(radius=40), id="sharp"),
    pytest.param(Scene(radius=70, noise=5), id="big and noisy"),
    pytest.param(Scene(radius=30, shutter=0.5, speed=(12, 9)), id="blurred"),
    pytest.param(Scene(background=(120, 128, 128), color=(120, 90, 160)), id="hue only"),
    pytest.param(Scene(slope=100, background=(80, 128, 128)), id="slope"),
]


def _planes(scene: Scene, x: float, y: float) -> Sequence[Plane]:
    return planes_of(render(scene, x, y, rng=np.random.default_rng(5)))


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("index", [0, 1])
def test_a_fit_and_its_verdict_are_the_same(scene: Scene, index: int) -> None:
    plane = _planes(scene, 211.3, 168.9)[index]
    scale = 1 + index
    start = (211.3 / scale + 0.8, 168.9 / scale - 0.6, scene.radius / scale + 1.2, 2.5 / scale)
    fitted = [code.fit(*plane, *start, 0.7, index == 0) for code in (_kernel, plain)]
    if fitted[1] is None:
        assert fitted[0] is None
        return
    assert fitted[0] == pytest.approx(fitted[1], abs=2e-3)
    verdicts = [code.judge(*plane, *fitted[1][:8]) for code in (_kernel, plain)]
    assert verdicts[0] == pytest.approx(verdicts[1], abs=1e-6)


@pytest.mark.parametrize("scene", SCENES)
def test_scores_and_blobs_are_the_same(scene: Scene) -> None:
    planes = _planes(scene, 600.5, 300.25)
    found = []
    for code in (_kernel, plain):
        scores = np.zeros(320 * 240, np.float32)
        fits = [
            code.add_scores(*plane, 1 if index else 2, scores, 320, 240)
            for index, plane in enumerate(planes)
        ]
        found.append((scores, fits, code.blobs(scores, 320, 240, 20.0, 1, 1e9)))
    assert np.allclose(found[0][0], found[1][0], rtol=1e-3, atol=1e-2)
    assert np.allclose(found[0][1], found[1][1], rtol=1e-4, atol=1e-4)
    assert found[0][2] == found[1][2]


def test_blobs_join_along_sides_only() -> None:
    picture = ["110001", "011001", "000111", "100000", "010000"]
    scores = np.array([[float(cell) for cell in row] for row in picture], np.float32).ravel()
    for code in (_kernel, plain):
        blobs, _ = code.blobs(scores, 6, 5, 0.5, 1, 99)
        sizes = sorted(int(Blob(*blob).n) for blob in blobs)
        assert sizes == [1, 1, 4, 5]
        assert [int(Blob(*blob).n) for blob in code.blobs(scores, 6, 5, 0.5, 5, 99)[0]] == [5]


def test_windows_and_probes_are_the_same() -> None:
    plane = _planes(Scene(noise=3), 3.0, 100.0)[0]
    windows = [np.zeros(40 * 30, np.float32) for _ in range(2)]
    for code, out in zip((_kernel, plain), windows, strict=True):
        code.window_scores(*plane, 8, 60, 2, out, 40, 30, 70.5, -1.0)
    assert np.allclose(windows[0], windows[1], atol=1e-4)
    for place in ((3.0, 100.0, 40.0), (-30.0, 100.0, 40.0)):
        assert _kernel.probe(*plane, *place) == pytest.approx(
            plain.probe(*plane, *place), nan_ok=True
        )
    for code in (_kernel, plain):
        assert all(math.isnan(level) for level in code.probe(*plane, -500.0, 100.0, 20.0))


def test_whole_tracks_are_the_same() -> None:
    scene = Scene(width=320, height=240, radius=20, noise=4)
    rng = np.random.default_rng(1)
    trackers = [DiscTracker(backend=code) for code in (_kernel, plain)]
    for index, place in enumerate(path(scene, 12, seed=1)):
        frame = render(scene, *place, rng=rng)
        frame.pts = index * 3000
        balls = [tracker.find(frame) for tracker in trackers]
        assert balls[0] is not None
        assert balls[1] is not None
        assert balls[0][:4] == pytest.approx(balls[1][:4], abs=2e-3)


@pytest.mark.parametrize(
    "call",
    [
        lambda code, samples: code.fit(samples, 64, 64, 65, 30.0, 30.0, 9.0, 1.0, 0.7, True),
        lambda code, samples: code.probe(samples, 63, 64, 64, 30.0, 30.0, 9.0),
        lambda code, samples: code.blobs(np.zeros(9, np.float32), 5, 2, 0.5, 1, 9),
    ],
    ids=["too few rows", "stride below width", "grid too small"],
)
def test_buffers_that_are_too_small_are_refused(call: Any) -> None:
    for code in (_kernel, plain):
        with pytest.raises(ValueError, match=r"smaller than|cannot reshape"):
            call(code, bytes(64 * 64))


def test_a_grid_keeps_nothing_of_the_picture_before() -> None:
    grid = Grid(_planes(Scene(), 100, 100))
    for x in (100.0, 300.0):
        starts, _ = grid.candidates(_kernel, _planes(Scene(), x, 200.0), Limits())
        assert len(starts) == 1
        assert starts[0].x == pytest.approx(x, abs=3)
