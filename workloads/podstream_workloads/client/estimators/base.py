"""What an estimator is, and the view of a frame that all of them work on."""

from abc import ABC, abstractmethod
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

Luma = NDArray[np.uint8]


class BallEstimator(ABC):
    """Finds the one ball of a frame. Called from one thread at a time."""

    @abstractmethod
    def estimate(self, frame: av.VideoFrame) -> tuple[float, float] | None:
        """Centre of the ball, x to the right and y down, or `None` where no ball is seen.

        Pixels; the centre of the top left pixel is (0, 0).
        """


def luma_view(frame: av.VideoFrame) -> Luma:
    """The luma of a frame, without a copy where the frame has a plane of it.

    The view is valid while the frame is. Its rows may lie further apart than they are long.
    """
    if (
        not frame.format.name.startswith(("yuv", "nv", "gray"))
        or frame.format.components[0].bits != 8
    ):
        gray: Luma = frame.to_ndarray(format="gray")
        return gray
    plane: Any = frame.planes[0]
    pixels: Luma = np.frombuffer(plane, dtype=np.uint8)
    rows = pixels[: plane.line_size * frame.height].reshape(frame.height, plane.line_size)
    view: Luma = rows[:, : frame.width]
    return view
