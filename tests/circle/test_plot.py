import math
from pathlib import Path
from xml.etree import ElementTree

import pytest

from podstream_workloads.circle.channel import Estimate
from podstream_workloads.circle.ledger import Ledger, stdout
from podstream_workloads.circle.plot import MAX_POINTS, Point, Thinned, svg
from podstream_workloads.circle.truth import Truth

NAMESPACE = "{http://www.w3.org/2000/svg}"


def _points(count: int) -> list[Point]:
    return [Point(i / 30, 10 + i, 20, 10 + i + 0.01 * (i % 7), 20.02) for i in range(count)]


def _lines(drawing: str) -> list[list[tuple[float, float]]]:
    root = ElementTree.fromstring(drawing)
    return [
        [
            (float(place.split(",")[0]), float(place.split(",")[1]))
            for place in line.attrib["points"].split()
        ]
        for line in root.iter(f"{NAMESPACE}polyline")
    ]


def test_the_drawing_shows_every_error_and_both_tracks() -> None:
    points = _points(50)
    drawing = svg(points, width=640, height=480, rmse=0.0321)
    error, truth, seen = _lines(drawing)
    assert [len(error), len(truth), len(seen)] == [50, 50, 50]
    assert truth[3] == pytest.approx((13, 20))
    assert seen[3] == pytest.approx((13.03, 20.02))
    heights = [y for _, y in error]
    worst = max(range(50), key=lambda i: points[i].error)
    assert heights[worst] == min(heights)
    assert "RMSE 0.0321 px" in drawing


def test_a_session_without_estimates_is_drawn_too() -> None:
    drawing = svg([], width=64, height=64, rmse=None)
    assert "no frame was scored" in drawing
    assert _lines(drawing) == [[], [], []]


def test_hours_are_thinned_and_no_outlier_disappears() -> None:
    thinned = Thinned()
    for index in range(200_000):
        wrong = 50.0 if index in (77_777, 199_999) else 0.01
        thinned.add(Point(index / 30, 0, 0, wrong, 0))
    points = thinned.points
    assert len(points) <= 2 * MAX_POINTS
    assert [round(p.seconds * 30) for p in points if p.error > 1] == [77_777, 199_999]
    assert [p.seconds for p in points] == sorted(p.seconds for p in points)


def test_the_ledger_draws_what_it_scored(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, log_estimates=False, frames=0, out=stdout())
    for index in range(20):
        truth = Truth(index, 100 + index, 50, drawn_at=index / 30)
        ledger.enter(Estimate((103 + index, 54), 0, None), truth, now=index / 30 + 0.01)
    ledger.close()
    drawing = ledger.plot(width=320, height=240).read_text()
    assert len(_lines(drawing)[0]) == 20
    assert "RMSE 5 px" in drawing
    assert math.isclose(_lines(drawing)[2][0][0], 103)
