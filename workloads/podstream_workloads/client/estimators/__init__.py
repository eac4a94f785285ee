"""Finding the ball in a frame."""

from podstream_core.api import Estimator
from podstream_workloads.client.estimators.base import BallEstimator
from podstream_workloads.client.estimators.hough import HoughEstimator
from podstream_workloads.client.estimators.moments import MomentsEstimator

__all__ = ["BallEstimator", "HoughEstimator", "MomentsEstimator", "make_estimator"]


def make_estimator(spec: Estimator) -> BallEstimator:
    """The estimator that a session asks for.

    Raises:
        EstimatorError: it cannot work on this machine.
    """
    if spec.method == "Hough":
        return HoughEstimator(dp=spec.dp, min_dist=spec.min_dist)
    return MomentsEstimator()
