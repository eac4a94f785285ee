"""Turning, flipping, cropping and resizing of pictures."""

import math
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from podstream_workloads.imageops.operations.plan import quarter_turns, resized, rotated
from podstream_workloads.imageops.operations.values import (
    Crop,
    Flip,
    Interpolation,
    Resize,
    RotateDegrees,
)

Picture = NDArray[Any]

_TILE: Final = 256
"""Pixels. A colour tile (192 KiB) stays in the second-level cache between its two passes."""
_CV_INTERPOLATION: Final = {
    Interpolation.NEAREST: cv2.INTER_NEAREST_EXACT,
    Interpolation.LINEAR: cv2.INTER_LINEAR,
    Interpolation.CUBIC: cv2.INTER_CUBIC,
    Interpolation.AREA: cv2.INTER_AREA,
    Interpolation.LANCZOS: cv2.INTER_LANCZOS4,
}


def turn(picture: Picture, *, quarters: int, out: Picture | None = None) -> Picture:
    """Turn counter-clockwise by quarter turns: `numpy.rot90(picture, k=quarters)`, contiguous.

    Args:
        picture: any dtype that OpenCV knows.
        quarters: any integer.
        out: contiguous array to write to, of the result's shape.
    """
    quarters %= 4
    if quarters == 0:
        return _copied(picture, out)
    if quarters == 2:  # noqa: PLR2004 - half a turn
        return np.asarray(cv2.rotate(picture, cv2.ROTATE_180, dst=out))
    height, width = picture.shape[:2]
    if out is None:
        out = np.empty((width, height, *picture.shape[2:]), picture.dtype)
    # cv2.rotate transposes the whole picture and then flips it in place: two trips through memory.
    # By tiles the second pass finds its pixels in the cache.
    flip_code = 0 if quarters == 1 else 1
    for top in range(0, height, _TILE):
        bottom = min(top + _TILE, height)
        for left in range(0, width, _TILE):
            right = min(left + _TILE, width)
            tile = _like(cv2.transpose(picture[top:bottom, left:right]), picture)
            if quarters == 1:
                place = out[width - right : width - left, top:bottom]
            else:
                place = out[left:right, height - bottom : height - top]
            _flip_into(tile, flip_code, place)
    return out


def rotate(picture: Picture, operation: RotateDegrees) -> Picture:
    """Turn by any angle about the centre, on a canvas that holds the whole result."""
    quarters = quarter_turns(operation.degrees)
    if quarters is not None:
        return turn(picture, quarters=quarters)
    height, width = picture.shape[:2]
    new_width, new_height = rotated(operation.degrees, width=width, height=height)
    angle = math.radians(operation.degrees)
    cosine, sine = math.cos(angle), math.sin(angle)
    # Rows grow downwards, so a counter-clockwise turn maps (x, y) to (x cos + y sin, -x sin +
    # y cos); centres of pixels lie on integers.
    centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
    forward = np.array(
        [
            [cosine, sine, (new_width - 1) / 2 - cosine * centre_x - sine * centre_y],
            [-sine, cosine, (new_height - 1) / 2 + sine * centre_x - cosine * centre_y],
        ]
    )
    method = operation.interpolation
    # A warp knows no area interpolation, and nearest is the plain one there.
    flags = {
        Interpolation.AREA: cv2.INTER_LINEAR,
        Interpolation.NEAREST: cv2.INTER_NEAREST,
    }.get(method, _CV_INTERPOLATION[method])
    fill = min(operation.fill, int(np.iinfo(picture.dtype).max))
    result = cv2.warpAffine(
        picture,
        forward,
        (new_width, new_height),
        flags=flags,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(fill, fill, fill),
    )
    return _like(result, picture)


def resize(picture: Picture, operation: Resize) -> Picture:
    """Change the size; see `Resize`."""
    height, width = picture.shape[:2]
    size = resized(operation, width=width, height=height)
    method = _CV_INTERPOLATION[operation.interpolation]
    return _like(cv2.resize(picture, size, interpolation=method), picture)


def crop(picture: Picture, operation: Crop) -> Picture:
    """Cut out a rectangle; the result is a view."""
    bottom, right = operation.y + operation.height, operation.x + operation.width
    return picture[operation.y : bottom, operation.x : right]


def flip(picture: Picture, operation: Flip) -> Picture:
    """Mirror along the chosen axes."""
    if operation.horizontal and operation.vertical:
        return np.asarray(cv2.flip(picture, -1))
    if operation.horizontal or operation.vertical:
        return np.asarray(cv2.flip(picture, 1 if operation.horizontal else 0))
    return picture


def _flip_into(tile: Picture, code: int, place: Picture) -> None:
    written = cv2.flip(tile, code, dst=place)
    # OpenCV takes a strided view as destination where it can, and otherwise makes an array.
    if written is not place and not np.shares_memory(written, place):
        place[...] = _like(written, place)


def _copied(picture: Picture, out: Picture | None) -> Picture:
    if out is None:
        return np.ascontiguousarray(picture)
    np.copyto(out, picture)
    return out


def _like(result: Any, picture: Picture) -> Picture:
    """OpenCV drops a third axis of length 1: give it back."""
    array = np.asarray(result)
    return array[:, :, np.newaxis] if array.ndim < picture.ndim else array
