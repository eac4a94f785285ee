"""From a start value to an accepted ball, or to none: which planes, the fit, the tests."""

import math
from collections.abc import Sequence

from podstream_workloads.discfit.backend import Backend
from podstream_workloads.discfit.values import Ball, Disc, Limits, Plane, Start

_LEAST_W = (0.7, 0.6, 0.6)
"""Sharpest edge per plane, pixels of the plane."""
_MIN_LUMA_CONTRAST = 3.0
_MIN_CHROMA_CONTRAST = 4.0
_MIN_SECTORS = 4
_COVERAGE = 0.8
_MAX_COLOR_DISTANCE = 30.0


def chosen_planes(contrasts: Sequence[float], sigma: float) -> list[int]:
    """Which planes show the disc well enough to say where it is.

    Args:
        contrasts: inside minus outside per plane, grey levels; NaN where nothing is visible.
        sigma: deviation of the luma background.
    """
    luma, *chroma = (0.0 if math.isnan(contrast) else abs(contrast) for contrast in contrasts)
    chosen = [0] if luma >= _MIN_LUMA_CONTRAST and luma > 1.5 * sigma else []
    best = max(chroma, default=0.0)
    if best >= _MIN_CHROMA_CONTRAST and best > 2 * luma:
        least = max(_MIN_CHROMA_CONTRAST, 0.4 * best)
        chosen += [index + 1 for index, contrast in enumerate(chroma) if contrast >= least]
    return chosen


def fit_ball(
    backend: Backend,
    planes: Sequence[Plane],
    start: Start,
    *,
    limits: Limits,
    sigmas: Sequence[float],
    is_acquiring: bool,
) -> Ball | None:
    """Fit the disc in every plane that shows it; `None` unless what is found passes all tests."""
    levels = [_probe(backend, planes[index], index, start) for index in range(3)]
    contrasts = [inside - outside for inside, outside in levels]
    x = y = r = w = total = 0.0
    for index in chosen_planes(contrasts, sigmas[0]):
        disc = _fit(backend, planes[index], index, start)
        if disc is None or not _is_disc(
            backend, planes[index], disc, sigma=sigmas[index] if is_acquiring else 0.0
        ):
            continue
        levels[index] = (disc.f, disc.b)
        weight = disc.contrast**2 * disc.r / ((disc.sd**2 + 0.1) * disc.w)
        scale, shift = 1.0, 0.0
        if index:
            # A chroma sample lies between two luma columns and rows.
            weight, scale, shift = weight / 4, 2.0, 0.5
        x += weight * (scale * disc.x + shift)
        y += weight * (scale * disc.y + shift)
        r += weight * scale * disc.r
        w += weight * scale * disc.w
        total += weight
    if not total:
        return None
    ball = Ball(
        x / total,
        y / total,
        r / total,
        w / total,
        tuple(level[0] for level in levels),
        tuple(level[1] for level in levels),
    )
    return ball if _is_wanted(ball, limits) else None


def _probe(backend: Backend, plane: Plane, index: int, start: Start) -> tuple[float, float]:
    x, y, r, *_ = start
    if index:
        x, y, r = (x - 0.5) / 2, (y - 0.5) / 2, r / 2
    return backend.probe(*plane, x, y, r)


def _fit(backend: Backend, plane: Plane, index: int, start: Start) -> Disc | None:
    x, y, r, w, *_ = start
    if index:
        x, y, r, w = (x - 0.5) / 2, (y - 0.5) / 2, r / 2, w / 2
    least_w = _LEAST_W[index]
    found = backend.fit(*plane, x, y, r, max(w, least_w), least_w, index == 0)
    return None if found is None else Disc(*found)  # type: ignore[arg-type]


def most_displacement(disc: Disc, *, ring_rms: float) -> float:
    """How far the edge of a disc may be from a circle, rms over sectors, pixels.

    A hexagon's edge is 0.04 r away, a codec moves that of a weak disc by several grey levels'
    worth, noise beside the disc moves it further: the limit follows contrast and noise.
    """
    blurred = 0.2 + 0.12 * disc.w
    noise = (8 + 8 * ring_rms) / abs(disc.contrast)
    return min(0.35 + 0.03 * disc.r + 0.12 * disc.w, blurred + noise)


def _is_disc(backend: Backend, plane: Plane, disc: Disc, *, sigma: float) -> bool:
    contrast = abs(disc.contrast)
    if contrast <= 2.2 * disc.sd or disc.sd >= 0.3 * contrast + 1 or contrast <= 4.5 * sigma:
        return False
    sectors, agreeing, ring_rms, shape = backend.judge(*plane, *disc[:8])
    return (
        sectors >= _MIN_SECTORS
        and agreeing >= _COVERAGE * sectors
        and contrast > 3 * ring_rms
        and 0 <= shape < most_displacement(disc, ring_rms=ring_rms)
    )


def _is_wanted(ball: Ball, limits: Limits) -> bool:
    if not 0.8 * limits.least_radius <= ball.r <= 1.2 * limits.most_radius:
        return False
    return limits.color is None or math.dist(limits.color, ball.levels) <= _MAX_COLOR_DISTANCE
