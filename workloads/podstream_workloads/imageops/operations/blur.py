"""Mean and Gaussian filters.

The mean over existing neighbours follows the public statement of the `NLImageService` exercise:
every pixel becomes the average of itself and the neighbours that exist, floor(sum / count), per
channel; no padding.
"""

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from podstream_workloads.imageops.operations.values import Border, Gaussian, Mean

Picture = NDArray[Any]

_CV_BORDER: Final = {
    Border.REFLECT_101: cv2.BORDER_REFLECT_101,
    Border.REFLECT: cv2.BORDER_REFLECT,
    Border.REPLICATE: cv2.BORDER_REPLICATE,
    Border.CONSTANT: cv2.BORDER_CONSTANT,
}
_ONES: Final = np.ones(3, np.float32)
_NINTHS: Final = _ONES / 9


def mean(picture: Picture, operation: Mean, *, out: Picture | None = None) -> Picture:
    """Mean over a window of odd sides.

    uint8 with a border other than `EXISTING`: floor(sum/K + 1/2), bit-exact. uint16: rounded half
    to even from float32, within 1 of the exact quotient. `EXISTING` is exact for both.

    Args:
        picture: uint8 or uint16.
        operation: the window.
        out: contiguous array of the picture's shape to write to; used where it saves a copy.

    Raises:
        ValueError: floats, where one NaN would spoil far more than its window.
    """
    if picture.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"mean takes uint8 or uint16, not {picture.dtype}")
    if operation.border is not Border.EXISTING:
        size = (operation.width, operation.height)
        blurred = cv2.blur(picture, size, dst=out, borderType=_CV_BORDER[operation.border])
        return _shaped(blurred, picture)
    if operation.width == operation.height == 3 and picture.dtype == np.uint8:  # noqa: PLR2004
        return mean_existing_3x3(picture, out=out)
    return _mean_existing(picture, width=operation.width, height=operation.height)


def gaussian(picture: Picture, operation: Gaussian) -> Picture:
    """Gaussian blur; the window reaches 3 (uint8) or 4 (uint16) standard deviations."""
    border = _CV_BORDER[operation.border]
    return _shaped(cv2.GaussianBlur(picture, (0, 0), operation.sigma, borderType=border), picture)


def mean_existing_3x3(picture: Picture, *, out: Picture | None = None) -> Picture:
    """`MeanFilter`: floor(sum / count) over the 3x3 neighbours that exist; uint8.

    Inside, sums of whole numbers times 1/9 minus 4/9 lie within 4/9 of floor(sum/9), and the
    error of float32 is below 1e-4: rounding to the nearest gives exactly floor(sum/9). That is one
    pass of a separable filter. Edges are then computed again with their own counts.
    """
    height, width = picture.shape[:2]
    result = _shaped(
        cv2.sepFilter2D(picture, cv2.CV_8U, _ONES, _NINTHS, dst=out, delta=-4 / 9), picture
    )
    # Each edge needs itself and the line beside it; corners come out right both times.
    for edge, lines in ((0, slice(0, 2)), (-1, slice(max(0, height - 2), height))):
        result[edge] = _mean_existing(picture[lines], width=3, height=3)[edge]
    for edge, lines in ((0, slice(0, 2)), (-1, slice(max(0, width - 2), width))):
        result[:, edge] = _mean_existing(picture[:, lines], width=3, height=3)[:, edge]
    return result


def _mean_existing(picture: Picture, *, width: int, height: int) -> Picture:
    """The same for any odd window and both types, by sums and counts."""
    # Sums of 255 x 255 values of 16 bits do not fit in 32 bits; in float64 they are exact.
    depth = cv2.CV_32S if picture.dtype == np.uint8 else cv2.CV_64F
    sums = cv2.boxFilter(
        picture, depth, (width, height), normalize=False, borderType=cv2.BORDER_CONSTANT
    )
    rows, columns = picture.shape[:2]
    counts = np.outer(_counts(rows, height), _counts(columns, width))
    sums = _shaped(sums, picture)
    if picture.ndim > 2:  # noqa: PLR2004 - has channels
        counts = counts[:, :, np.newaxis]
    return np.asarray(sums // counts).astype(picture.dtype)


def _counts(length: int, window: int) -> NDArray[np.int32]:
    """How many pixels of a line each window position covers."""
    places = np.arange(length, dtype=np.int32)
    half = window // 2
    first = np.maximum(places - half, 0)
    last = np.minimum(places + half, length - 1)
    counts: NDArray[np.int32] = (last - first + 1).astype(np.int32)
    return counts


def _shaped(result: Any, picture: Picture) -> Picture:
    array = np.asarray(result)
    return array if array.shape == picture.shape else array.reshape(picture.shape)
