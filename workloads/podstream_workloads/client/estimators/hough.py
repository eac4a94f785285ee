"""The ball by OpenCV's circle detection, as the original ball tracker finds it."""

from typing import Any

import av
import numpy as np

from podstream_workloads.client.errors import EstimatorError
from podstream_workloads.client.estimators.base import BallEstimator, luma_view


class HoughEstimator(BallEstimator):
    """First circle of `cv2.HoughCircles` with `HOUGH_GRADIENT`."""

    def __init__(self, *, dp: float, min_dist: float) -> None:
        """Load OpenCV.

        Args:
            dp: inverse accumulator resolution.
            min_dist: minimum distance between centres, pixels.

        Raises:
            EstimatorError: OpenCV is not installed.
        """
        try:
            import cv2  # noqa: PLC0415 - 60 MB that the default estimator does without
        except ImportError as error:
            raise EstimatorError(
                f"--estimator hough needs OpenCV: pip install 'podstream[session]' ({error})"
            ) from error
        self._cv2: Any = cv2
        self._dp = dp
        self._min_dist = min_dist

    def estimate(self, frame: av.VideoFrame) -> tuple[float, float] | None:
        """Find the ball (see `BallEstimator`)."""
        circles = self._cv2.HoughCircles(
            luma_view(frame), self._cv2.HOUGH_GRADIENT, self._dp, self._min_dist
        )
        if circles is None or np.size(circles) == 0:
            return None
        x, y = np.reshape(circles, (-1, np.shape(circles)[-1]))[0][:2]
        return float(x), float(y)
