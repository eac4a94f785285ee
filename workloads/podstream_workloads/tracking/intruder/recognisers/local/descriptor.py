"""What a face looks like, in numbers that light changes little.

Histograms of oriented gradients (Dalal, Triggs 2005) of the whole face beside uniform local binary
patterns in blocks (Ahonen, Hadid, Pietikainen 2006). Each part has length 1, so neither rules.
"""

from typing import Any, Final

import cv2
import numpy as np

from podstream_workloads.tracking.intruder.recognisers.local.finder import FACE_SIDE

ALGORITHM: Final = "hog+lbp/1"
"""Kept in a gallery: descriptors of different algorithms are never compared."""
_GRID: Final = 8
_PATTERNS: Final = 59
"""58 uniform patterns, and one for all others."""


def _uniform_table() -> Any:
    table = np.full(256, _PATTERNS - 1, np.uint8)
    following = 0
    for pattern in range(256):
        bits = [(pattern >> bit) & 1 for bit in range(8)]
        if sum(a != b for a, b in zip(bits, bits[1:] + bits[:1], strict=True)) <= 2:  # noqa: PLR2004
            table[pattern] = following
            following += 1
    return table


_UNIFORM: Final = _uniform_table()
_HOG: Final = cv2.HOGDescriptor((FACE_SIDE, FACE_SIDE), (24, 24), (12, 12), (12, 12), 9)
_WINDOW: Final = cv2.createHanningWindow((FACE_SIDE, FACE_SIDE), cv2.CV_32F) ** 0.25
"""Hair and walls at the square's edges count less than eyes, nose and mouth."""


def describe(gray: Any) -> Any:
    """The descriptor of an upright face: float32, of length 1.

    Args:
        gray: `FACE_SIDE` squared, uint8.
    """
    # Band-pass and contrast normalisation (Tan, Triggs 2010): shadows fall out.
    soft = gray.astype(np.float32)
    band = cv2.GaussianBlur(soft, (0, 0), 1.0) - cv2.GaussianBlur(soft, (0, 0), 8.0)
    local = np.sqrt(cv2.GaussianBlur(band * band, (0, 0), 12.0)) + 4.0
    even = np.clip(band / local * _WINDOW * 42 + 128, 0, 255).astype(np.uint8)
    oriented = np.ravel(_HOG.compute(even))
    patterns = _patterns(cv2.GaussianBlur(even, (0, 0), 1.0))
    parts = [np.sqrt(part / (part.sum() + 1e-9)) for part in (oriented, patterns)]
    whole = np.concatenate(parts)
    return (whole / np.linalg.norm(whole)).astype(np.float32)


def _patterns(gray: Any) -> Any:
    """Counts of uniform patterns, 8 neighbours at radius 2, per block of an 8 x 8 grid."""
    inner = gray[2:-2, 2:-2]
    codes = np.zeros(inner.shape, np.uint8)
    around = [(-2, -2), (-2, 0), (-2, 2), (0, 2), (2, 2), (2, 0), (2, -2), (0, -2)]
    side = FACE_SIDE
    for bit, (dy, dx) in enumerate(around):
        codes |= (gray[2 + dy : side - 2 + dy, 2 + dx : side - 2 + dx] >= inner).astype(
            np.uint8
        ) << bit
    labels = _UNIFORM[codes].astype(np.int32)
    blocks = np.arange(inner.shape[0]) * _GRID // inner.shape[0]
    place = (blocks[:, None] * _GRID + blocks[None, :]) * _PATTERNS
    counts = np.bincount(np.ravel(labels + place), minlength=_GRID * _GRID * _PATTERNS)
    return counts.astype(np.float32)
