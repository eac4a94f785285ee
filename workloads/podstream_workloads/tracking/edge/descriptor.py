"""What somebody looks like, as numbers that survive another light and another camera.

Six stripes from head to feet, in each the distribution of colour. Two accounts of colour are kept
side by side, for each forgives what the other does not:

- logarithms of channels after grey-world normalisation (Buchsbaum, 1980), here of the logarithms'
  mean and deviation: a gain per channel (exposure, white balance) and a common gamma cancel;
- ranks of channel values within the picture (Finlayson et al., "Illuminant and device invariant
  colour using histogram equalisation", 2005): every monotone curve per channel cancels.

Square roots of the histograms, at length 1, make their product the Bhattacharyya coefficient.
"""

import base64
import binascii
import math
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from podstream_workloads.tracking.edge.detectors.base import Picture, Rect
from podstream_workloads.tracking.edge.errors import DescriptorRejected

ALGORITHM: Final = "stripes"
VERSION: Final = 1

Vector: TypeAlias = NDArray[np.float32]

_WIDTH, _HEIGHT, _STRIPES = 24, 60, 6
_CHROMA_BINS, _LIGHT_BINS, _RANK_BINS = 10, 6, 6
_CHROMA_RANGE, _LIGHT_RANGE = 2.0, 2.5  # deviations, on each side of the mean
_DARK = 6.0  # grey levels: below, ratios of channels are noise
_LEAST_CONTRAST = 0.15  # of logarithms to base e: somebody all in one colour
DIMENSIONS: Final = _STRIPES * (2 * _CHROMA_BINS + _LIGHT_BINS + 3 * _RANK_BINS)
MOST_DIMENSIONS: Final = 4096
_SMALLEST = (8, 16)  # pixels: below nothing can be told


@dataclass(frozen=True, slots=True, eq=False)
class Descriptor:
    """A versioned vector of length 1, or a foreign one (`alg` is empty) as its sender made it."""

    vector: Vector
    alg: str = ALGORITHM
    version: int = VERSION

    def is_comparable(self, other: "Descriptor") -> bool:
        """Whether both were made in the same way: anything else would compare at random."""
        mine = (self.alg, self.version, len(self.vector))
        return mine == (other.alg, other.version, len(other.vector))

    def distance(self, other: "Descriptor") -> float:
        """0 for the same, up to 2. Only between descriptors that are comparable."""
        return 1.0 - float(self.vector @ other.vector)


def describe(
    image: Picture, rect: Rect, *, foreground: NDArray[np.uint8] | None = None, scale: float = 1.0
) -> Vector | None:
    """Look at a part of a picture; `None` where it is too small to tell.

    Args:
        image: height x width x 3, BGR.
        rect: what to look at, in pixels; clipped to the picture.
        foreground: mask that is 255 on what moves; without it the middle counts most.
        scale: pixels of the picture per pixel of the mask.
    """
    high, wide = image.shape[:2]
    x1, y1 = max(0, round(rect[0])), max(0, round(rect[1]))
    x2, y2 = min(wide, round(rect[2])), min(high, round(rect[3]))
    if x2 - x1 < _SMALLEST[0] or y2 - y1 < _SMALLEST[1]:
        return None
    patch = cv2.resize(image[y1:y2, x1:x2], (_WIDTH, _HEIGHT), interpolation=cv2.INTER_AREA)
    colours = np.asarray(patch, dtype=np.float32).reshape(-1, 3)
    weights = _weights(foreground, (x1 / scale, y1 / scale, x2 / scale, y2 / scale))
    return _histograms(colours, weights.reshape(-1))


def of_picture(image: Picture) -> Descriptor | None:
    """Descriptor of a picture that shows nothing but somebody, as `start` may bring it."""
    vector = describe(image, (0.0, 0.0, float(image.shape[1]), float(image.shape[0])))
    return None if vector is None else Descriptor(vector)


def _weights(foreground: NDArray[np.uint8] | None, rect: Rect) -> Vector:
    across = (np.arange(_WIDTH, dtype=np.float32) + 0.5) / _WIDTH - 0.5
    middle = np.tile(np.exp(-((across / 0.28) ** 2)), (_HEIGHT, 1)).astype(np.float32)
    if foreground is None:
        return middle
    part = foreground[int(rect[1]) : math.ceil(rect[3]), int(rect[0]) : math.ceil(rect[2])]
    if not part.size or np.count_nonzero(part) < 0.2 * part.size:
        return middle
    mask = cv2.resize(part, (_WIDTH, _HEIGHT), interpolation=cv2.INTER_AREA)
    return np.asarray(np.asarray(mask, dtype=np.float32) / 255.0 * (0.2 + middle), np.float32)


def _histograms(colours: Vector, weights: Vector) -> Vector:
    total = max(float(weights.sum()), 1e-6)
    logs = np.log(colours + _DARK)
    logs -= (logs * weights[:, None]).sum(axis=0) / total
    contrast = math.sqrt(float((logs * logs * weights[:, None]).sum()) / (3.0 * total))
    logs /= max(contrast, _LEAST_CONTRAST)
    light = logs.mean(axis=1)
    parts = [
        _stripes((logs[:, 2] - logs[:, 1]) / _CHROMA_RANGE, weights, _CHROMA_BINS),
        _stripes((logs[:, 0] - logs[:, 1]) / _CHROMA_RANGE, weights, _CHROMA_BINS),
        _stripes(light / _LIGHT_RANGE, weights, _LIGHT_BINS),
    ]
    for channel in range(3):
        order = np.argsort(colours[:, channel], kind="stable")
        rank = np.empty_like(weights)
        rank[order] = np.cumsum(weights[order]) / total
        parts.append(_stripes(2.0 * rank - 1.0, weights, _RANK_BINS))
    vector = np.sqrt(np.concatenate(parts, axis=1).reshape(-1))
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-9), dtype=np.float32)


def _stripes(values: Vector, weights: Vector, bins: int) -> NDArray[np.float64]:
    """Histogram per stripe of values in -1..1; each value is shared by the two nearest bins."""
    place = np.clip((values + 1.0) * 0.5, 0.0, 1.0) * (bins - 1)
    low = np.minimum(place.astype(np.intp), bins - 2)
    upper = place - low
    stripe = np.repeat(np.arange(_STRIPES), len(values) // _STRIPES) * bins
    count = np.bincount(stripe + low, weights * (1.0 - upper), _STRIPES * bins)
    count += np.bincount(stripe + low + 1, weights * upper, _STRIPES * bins)
    table = count.reshape(_STRIPES, bins)
    return np.asarray(table / np.maximum(table.sum(axis=1, keepdims=True), 1e-6))


def to_wire(descriptor: Descriptor) -> Any:
    """The `featureMap` of a message: base64 of 16-bit floats, little-endian; foreign ones plain."""
    if not descriptor.alg:
        return [float(value) for value in descriptor.vector]
    data = descriptor.vector.astype("<f2").tobytes()
    return {
        "alg": descriptor.alg,
        "version": descriptor.version,
        "dim": len(descriptor.vector),
        "data": base64.b64encode(data).decode(),
    }


def from_wire(feature_map: Any) -> Descriptor | None:
    """Read a `featureMap`; `None` for `{}`, which says that none is known yet.

    Stock processors send a plain list of numbers; it is kept at length 1 and compared only with
    its like.

    Raises:
        DescriptorRejected: it is neither.
    """
    if feature_map == {}:
        return None
    if isinstance(feature_map, list):
        return _of_list(feature_map)
    if not isinstance(feature_map, dict):
        raise DescriptorRejected("a feature map is an object or a list of numbers")
    alg, version, dim, data = (feature_map.get(key) for key in ("alg", "version", "dim", "data"))
    if not (isinstance(alg, str) and alg and isinstance(data, str)):
        raise DescriptorRejected("a feature map has alg and data, both text")
    if type(version) is not int or type(dim) is not int or not 0 < dim <= MOST_DIMENSIONS:
        raise DescriptorRejected("a feature map has version and dim, both integers")
    try:
        raw = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise DescriptorRejected("a feature map's data is not base64") from error
    if len(raw) != 2 * dim:
        raise DescriptorRejected(f"a feature map's data has {len(raw)} bytes for {dim} numbers")
    vector = np.frombuffer(raw, dtype="<f2").astype(np.float32)
    return Descriptor(_unit(vector), alg=alg, version=version)


def _of_list(numbers: list[Any]) -> Descriptor:
    fits = all(isinstance(one, int | float) and not isinstance(one, bool) for one in numbers)
    if not 0 < len(numbers) <= MOST_DIMENSIONS or not fits:
        raise DescriptorRejected(f"a feature map has 1 to {MOST_DIMENSIONS} numbers")
    try:
        vector = np.array(numbers, dtype=np.float32)
    except OverflowError as error:
        raise DescriptorRejected("a feature map's numbers are too large") from error
    return Descriptor(_unit(vector), alg="", version=0)


def _unit(vector: Vector) -> Vector:
    length = float(np.linalg.norm(vector))
    if not math.isfinite(length) or length <= 0.0:
        raise DescriptorRejected("a feature map's numbers have no direction")
    return np.asarray(vector / length, dtype=np.float32)
