"""A drawing of a session's estimates: error (or place) over time, and tracks. SVG, no library.

The track is drawn in the pixels of the picture, truth below estimate. Long sessions are thinned: of
every group of frames the one with the greatest error is shown, so that no outlier disappears.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

MAX_POINTS: Final = 1500
_WIDTH, _HEIGHT = 960, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 20, 30, 40
_GAP = 50
_TRUTH, _SEEN, _ERROR = "#2a9d54", "#c2255c", "#1c6fb8"


class Point(NamedTuple):
    """One scored frame; seconds since the first one, pixels."""

    seconds: float
    x: float
    y: float
    seen_x: float
    seen_y: float

    @property
    def error(self) -> float:
        """Euclidean distance."""
        return float(((self.seen_x - self.x) ** 2 + (self.seen_y - self.y) ** 2) ** 0.5)


class Thinned:
    """Points of a session of any length in bounded memory."""

    def __init__(self) -> None:
        self._points: list[Point] = []
        self._group = 1
        self._count = 0
        self._worst: Point | None = None

    def add(self, point: Point) -> None:
        """Keep the point if it is the worst of its group."""
        if self._worst is None or point.error >= self._worst.error:
            self._worst = point
        self._count += 1
        if self._count < self._group:
            return
        self._points.append(self._worst)
        self._worst, self._count = None, 0
        if len(self._points) >= 2 * MAX_POINTS:
            pairs = zip(self._points[::2], self._points[1::2], strict=True)
            self._points = [max(pair, key=lambda one: one.error) for pair in pairs]
            self._group *= 2

    @property
    def points(self) -> Sequence[Point]:
        """What is kept, in the order of arrival."""
        return self._points if self._worst is None else [*self._points, self._worst]


def svg(points: Sequence[Point], *, width: int, height: int, rmse: float | None) -> str:
    """The drawing; `width` and `height` are those of the streamed picture."""
    truth = Curve([(p.x, p.y) for p in points], _TRUTH, 3)
    return _drawing(
        _error_chart(points, rmse=rmse),
        tracks=[truth, _seen(points)],
        title="Track: truth green, estimate red",
        size=(width, height),
    )


def track_svg(points: Sequence[Point], *, width: int, height: int) -> str:
    """The drawing where no truth is known: both coordinates over time, and the track."""
    return _drawing(
        _place_chart(points, most=max(width, height)),
        tracks=[_seen(points)],
        title="Track of the ball",
        size=(width, height),
    )


class Curve(NamedTuple):
    """A line through places; its width in pixels of the drawing."""

    places: Sequence[tuple[float, float]]
    color: str
    width: float


def _seen(points: Sequence[Point]) -> Curve:
    return Curve([(p.seen_x, p.seen_y) for p in points], _SEEN, 1)


def _drawing(
    chart: Sequence[str], *, tracks: Sequence[Curve], title: str, size: tuple[int, int]
) -> str:
    """A chart above the tracks in a picture of the given size."""
    width, height = size
    scale = min(1.0, (_WIDTH - _LEFT - _RIGHT) / width)
    track_top = _HEIGHT + _GAP
    total = track_top + round(height * scale) + _BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{total}"'
        f' viewBox="0 0 {_WIDTH} {total}" font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{total}" fill="white"/>',
        *chart,
        f'<g transform="translate({_LEFT} {track_top}) scale({scale:.5f})">',
        f'<rect width="{width}" height="{height}" fill="none" stroke="#999"'
        f' stroke-width="{1 / scale:.2f}"/>',
        *(_line(track.places, color=track.color, width=track.width / scale) for track in tracks),
        "</g>",
        _text(_LEFT, track_top - 10, title),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _error_chart(points: Sequence[Point], *, rmse: float | None) -> list[str]:
    most = max((point.error for point in points), default=0.0) or 1.0
    label = "no frame was scored" if rmse is None else f"RMSE {rmse:.4g} px"
    errors = Curve([(point.seconds, point.error) for point in points], _ERROR, 1)
    return _chart([errors], title=f"Error of the estimate over time; {label}", most=most)


def _place_chart(points: Sequence[Point], *, most: float) -> list[str]:
    across = Curve([(point.seconds, point.seen_x) for point in points], _ERROR, 1)
    down = Curve([(point.seconds, point.seen_y) for point in points], _SEEN, 1)
    return _chart([across, down], title="Place of the ball over time: x blue, y red", most=most)


def _chart(curves: Sequence[Curve], *, title: str, most: float) -> list[str]:
    """Curves of pixels over seconds."""
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    last = max((place[0] for curve in curves for place in curve.places), default=0.0) or 1.0
    across, up = (right - _LEFT) / last, (bottom - _TOP) / most
    return [
        _text(_LEFT, _TOP - 12, title),
        f'<path d="M{_LEFT} {_TOP}V{bottom}H{right}" fill="none" stroke="#999"/>',
        _text(_LEFT - 6, _TOP + 4, f"{most:.3g} px", anchor="end"),
        _text(_LEFT - 6, bottom, "0", anchor="end"),
        _text(right, bottom + 16, f"{last:.1f} s", anchor="end"),
        *(
            _line(
                [(_LEFT + x * across, bottom - y * up) for x, y in curve.places],
                color=curve.color,
                width=curve.width,
            )
            for curve in curves
        ),
    ]


def _line(places: Sequence[tuple[float, float]], *, color: str, width: float) -> str:
    data = " ".join(f"{x:.2f},{y:.2f}" for x, y in places)
    return f'<polyline points="{data}" fill="none" stroke="{color}" stroke-width="{width:.2f}"/>'


def _text(x: float, y: float, words: str, *, anchor: str = "start") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">{words}</text>'
