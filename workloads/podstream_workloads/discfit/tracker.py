"""Finds the ball in one frame after the other, near where it should be if that is known."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from av import VideoFrame

from podstream_workloads.discfit.backend import Backend, best_backend
from podstream_workloads.discfit.fitting import fit_ball
from podstream_workloads.discfit.search import Grid, circle_through, rim
from podstream_workloads.discfit.values import Ball, Blob, Limits, Plane, Runs, Start, planes_of

_MARGIN = 12.0
_FIRST_MARGIN = 60.0
"""Extra room until the ball's speed is known."""
_SPEED_ROOM = 2.2
"""A ball that bounces is two displacements from where it would have been."""
_COARSE_RADIUS = 64
"""A bigger ball is looked for on coarser cells."""
_EDGE_W = 2.2
_MAX_TRIES = 4
_PREDICTED_W = 1.2
_PREDICTED_REACH = 3.0
"""Pixels between prediction and ball up to which the fit cannot have found anything else."""


class _Track(NamedTuple):
    ball: Ball
    pts: int | None
    speed: tuple[float, float] | None
    """Pixels per tick of the frames' clock, or per frame where they have none."""


class _Window(NamedTuple):
    """Cells of k x k pixels of one plane, from (x0, y0) of that plane on."""

    plane: int
    x0: int
    y0: int
    k: int
    cols: int
    rows: int

    def luma(self, x: float, y: float) -> tuple[float, float]:
        """Luma place of a place in cells."""
        x, y = self.x0 + (x + 0.5) * self.k - 0.5, self.y0 + (y + 0.5) * self.k - 0.5
        return (2 * x + 0.5, 2 * y + 0.5) if self.plane else (x, y)


class DiscTracker:
    """State of one stream; not for several threads at once."""

    def __init__(self, limits: Limits | None = None, *, backend: Backend | None = None) -> None:
        self._limits = limits or Limits()
        self._backend = backend or best_backend()
        self._grid: Grid | None = None
        self._sigmas: tuple[float, ...] = (0.9, 0.9, 0.9)
        self._track: _Track | None = None
        self._scores = np.zeros(0, np.float32)

    def find(self, frame: VideoFrame) -> Ball | None:
        """The ball, or `None` where nothing in the picture passes for one. CPU work."""
        planes = planes_of(frame)
        if self._grid is None or self._grid.size != (frame.width, frame.height):
            self._grid, self._track = Grid(planes), None
        ball = self._near(planes, frame.pts) or self._anywhere(self._grid, planes)
        self._track = None if ball is None else self._next(ball, frame.pts)
        return ball

    def _anywhere(self, grid: Grid, planes: Sequence[Plane]) -> Ball | None:
        starts, self._sigmas = grid.candidates(self._backend, planes, self._limits)
        for start in starts:
            ball = fit_ball(
                self._backend,
                planes,
                start,
                limits=self._limits,
                sigmas=self._sigmas,
                is_acquiring=True,
            )
            if ball is not None:
                return ball
        return None

    def _next(self, ball: Ball, pts: int | None) -> _Track:
        last = self._track
        if last is None:
            return _Track(ball, pts, None)
        ticks = _ticks(last.pts, pts)
        speed = ((ball.x - last.ball.x) / ticks, (ball.y - last.ball.y) / ticks)
        return _Track(ball, pts, speed)

    # -- near the last place

    def _near(self, planes: Sequence[Plane], pts: int | None) -> Ball | None:
        track = self._track
        if track is None:
            return None
        ticks = _ticks(track.pts, pts)
        dx, dy = (0.0, 0.0) if track.speed is None else track.speed
        dx, dy = dx * ticks, dy * ticks
        place = (track.ball.x + dx, track.ball.y + dy)
        if track.speed is not None:
            # Where it flies straight nothing has to be searched; a bounce fails and is searched.
            w = min(max(track.ball.w, _PREDICTED_W), 0.45 * track.ball.r)
            ball = self._fit(planes, Start(*place, track.ball.r, w, False), track.ball)
            if ball is not None and math.dist(place, ball[:2]) <= _PREDICTED_REACH:
                return ball
        reach = track.ball.r + _MARGIN + _SPEED_ROOM * math.hypot(dx, dy)
        if track.speed is None:
            reach += _FIRST_MARGIN
        window = _window(planes, track.ball, place, reach)
        if window is None:
            return None
        for start in self._starts(planes, track.ball, place, window):
            ball = self._fit(planes, start, track.ball)
            if ball is not None:
                return ball
        return None

    def _fit(self, planes: Sequence[Plane], start: Start, last: Ball) -> Ball | None:
        ball = fit_ball(
            self._backend,
            planes,
            start,
            limits=self._limits,
            sigmas=self._sigmas,
            is_acquiring=False,
        )
        return ball if ball is not None and _is_same(ball, last) else None

    def _starts(
        self, planes: Sequence[Plane], last: Ball, place: tuple[float, float], window: _Window
    ) -> list[Start]:
        cells = window.cols * window.rows
        if self._scores.size < cells:
            self._scores = np.zeros(cells, np.float32)
        index, k = window.plane, window.k
        inside, outside = last.levels[index], last.outside[index]
        self._backend.window_scores(
            *planes[index],
            window.x0,
            window.y0,
            k,
            self._scores,
            window.cols,
            window.rows,
            (inside + outside) / 2,
            1.0 if inside > outside else -1.0,
        )
        area = math.pi * (last.r / (2 if index else 1) / k) ** 2
        found, runs = self._backend.blobs(
            self._scores, window.cols, window.rows, 0.0, 0.1 * area, 1.6 * area + 8
        )
        starts = [
            _start(Blob(*fields), runs, window, planes[index], last)  # type: ignore[arg-type]
            for fields in found
        ]
        starts.sort(key=lambda start: math.dist(place, start[:2]))
        return starts[:_MAX_TRIES]


def _ticks(last: int | None, now: int | None) -> int:
    return now - last if last is not None and now is not None and now > last else 1


def _window(
    planes: Sequence[Plane], ball: Ball, place: tuple[float, float], reach: float
) -> _Window | None:
    """Cells around a place in the plane that shows the ball best; chroma must be twice as good."""
    contrasts = [abs(f - b) for f, b in zip(ball.levels, ball.outside, strict=True)]
    contrasts = [0.0 if math.isnan(contrast) else contrast for contrast in contrasts]
    index = max((1, 2), key=lambda i: contrasts[i])
    if contrasts[index] < 2 * contrasts[0]:
        index = 0
    k = 2 if ball.r < _COARSE_RADIUS else 4
    x, y = place
    if index:
        x, y, reach, k = (x - 0.5) / 2, (y - 0.5) / 2, reach / 2, k // 2
    plane = planes[index]
    x0, y0 = max(0, int(x - reach)) // k * k, max(0, int(y - reach)) // k * k
    cols = (min(plane.width, int(x + reach) + 2) - x0) // k
    rows = (min(plane.height, int(y + reach) + 2) - y0) // k
    return _Window(index, x0, y0, k, cols, rows) if cols > 1 and rows > 1 else None


def _start(blob: Blob, runs: Runs, window: _Window, plane: Plane, last: Ball) -> Start:
    """From a whole blob its middle, from one that the picture's border cuts a circle."""
    at_left, at_top = window.x0 == 0, window.y0 == 0
    at_right = window.x0 + (window.cols + 1) * window.k > plane.width
    at_bottom = window.y0 + (window.rows + 1) * window.k > plane.height
    is_cut = (
        (at_left and blob.left == 0)
        or (at_top and blob.top == 0)
        or (at_right and blob.right == window.cols - 1)
        or (at_bottom and blob.bottom == window.rows - 1)
    )
    x, y = blob.sx / blob.n, blob.sy / blob.n
    if is_cut:
        circle = circle_through(rim(runs, blob.label, cols=window.cols, rows=window.rows))
        if circle is not None:
            x, y = circle[:2]
    w = min(_EDGE_W + is_cut, 0.45 * last.r)
    return Start(*window.luma(x, y), last.r, w, is_cut)


def _is_same(ball: Ball, last: Ball) -> bool:
    """Whether size and colour are those of the ball that was tracked."""
    if abs(ball.r - last.r) > 0.2 * last.r + 2:
        return False
    change = sum((a - b) ** 2 for a, b in zip(ball.levels, last.levels, strict=True))
    contrast = sum((f - b) ** 2 for f, b in zip(last.levels, last.outside, strict=True))
    return change < 0.2 * contrast
