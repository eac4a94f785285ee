"""Box plots of durations as one SVG picture, without any library or style from elsewhere."""

import math
from collections.abc import Callable, Mapping
from html import escape
from typing import Final

from podstream_workloads.tracking.intruder.latency import Spread

_WIDTH: Final = 640
_LEFT: Final = 110
_RIGHT: Final = 20
_ROW: Final = 56
_TOP: Final = 12


def box_plots(plots: Mapping[str, Spread | None]) -> str:
    """One row per plot on a common axis of milliseconds, logarithmic; rows without values say so.

    Whiskers reach the furthest values within 1.5 interquartile ranges; circles lie beyond.
    """
    present = [plot for plot in plots.values() if plot is not None]
    low, high = _range(present)
    height = _TOP + _ROW * len(plots) + 34

    def place(value: float) -> float:
        share = (math.log10(max(value, low)) - math.log10(low)) / math.log10(high / low)
        return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'width="{_WIDTH}" height="{height}" role="img" font-family="sans-serif" font-size="13">',
        "<title>Latency in milliseconds</title>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    bottom = _TOP + _ROW * len(plots)
    tick = low
    while tick <= high * 1.001:
        x = place(tick)
        parts.append(f'<line x1="{x}" y1="{_TOP}" x2="{x}" y2="{bottom}" stroke="#dddddd"/>')
        parts.append(
            f'<text x="{x}" y="{bottom + 18}" text-anchor="middle" fill="#444444">'
            f"{tick:g} ms</text>"
        )
        tick *= 10
    for row, (name, plot) in enumerate(plots.items()):
        middle = _TOP + _ROW * row + _ROW / 2
        parts.append(f'<text x="8" y="{middle + 4}" fill="#222222">{escape(name)}</text>')
        if plot is None:
            parts.append(f'<text x="{_LEFT}" y="{middle + 4}" fill="#777777">none yet</text>')
            continue
        parts += _box(plot, middle, place)
    return "".join([*parts, "</svg>"])


def _box(plot: Spread, middle: float, place: Callable[[float], float]) -> list[str]:
    low, lower, median, upper, high = map(
        place, (plot.low, plot.lower, plot.median, plot.upper, plot.high)
    )
    ink = 'stroke="#1f5fa8" stroke-width="2"'
    circles = "".join(
        f'<circle cx="{place(value)}" cy="{middle}" r="3" fill="none" {ink}/>'
        for value in plot.outliers
    )
    return [
        f'<line x1="{low}" y1="{middle}" x2="{high}" y2="{middle}" {ink}/>',
        f'<line x1="{low}" y1="{middle - 7}" x2="{low}" y2="{middle + 7}" {ink}/>',
        f'<line x1="{high}" y1="{middle - 7}" x2="{high}" y2="{middle + 7}" {ink}/>',
        f'<rect x="{lower}" y="{middle - 12}" width="{max(1.0, upper - lower):.1f}" '
        f'height="24" fill="#cfe0f5" {ink}/>',
        f'<line x1="{median}" y1="{middle - 12}" x2="{median}" y2="{middle + 12}" {ink}/>',
        circles,
        f'<text x="{_LEFT}" y="{middle - 16}" fill="#777777" font-size="11">'
        f"median {plot.median:.1f} ms of {plot.count}</text>",
    ]


def _range(plots: list[Spread]) -> tuple[float, float]:
    """Powers of ten around all values, at least one decade apart."""
    if not plots:
        return 1.0, 1000.0
    least = max(0.01, min(min((plot.low, *plot.outliers)) for plot in plots))
    most = max(max((plot.high, *plot.outliers)) for plot in plots)
    low = 10.0 ** math.floor(math.log10(least))
    return low, max(low * 10, 10.0 ** math.ceil(math.log10(max(most, low))))
