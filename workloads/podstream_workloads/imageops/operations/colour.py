"""Gray and colour conversions. Values follow OpenCV's `cvtColor` for the picture's depth."""

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from podstream_workloads.imageops.operations.values import Space

Picture = NDArray[Any]

_FROM_RGB: Final = {
    Space.GRAY: cv2.COLOR_RGB2GRAY,
    Space.BGR: cv2.COLOR_RGB2BGR,
    Space.HSV: cv2.COLOR_RGB2HSV,
    Space.LAB: cv2.COLOR_RGB2Lab,
    Space.YCRCB: cv2.COLOR_RGB2YCrCb,
}
_TO_RGB: Final = {
    Space.GRAY: cv2.COLOR_GRAY2RGB,
    Space.BGR: cv2.COLOR_BGR2RGB,
    Space.HSV: cv2.COLOR_HSV2RGB,
    Space.LAB: cv2.COLOR_Lab2RGB,
    Space.YCRCB: cv2.COLOR_YCrCb2RGB,
}


def convert(picture: Picture, *, source: Space, target: Space) -> Picture:
    """Give the channels another meaning, by way of RGB. Gray is luma by ITU-R BT.601."""
    if source is target:
        return picture
    if source is not Space.RGB:
        picture = np.asarray(cv2.cvtColor(picture, _TO_RGB[source]))
    if target is not Space.RGB:
        picture = np.asarray(cv2.cvtColor(picture, _FROM_RGB[target]))
    return picture
