"""Which form of the loops over pixels is used, and what they have in common."""

import logging
from typing import Any, Protocol, cast

from podstream_workloads.discfit import plain
from podstream_workloads.discfit.values import Runs

logger = logging.getLogger(__name__)


class Backend(Protocol):
    """The loops; `plain` says what each one means."""

    def add_scores(self, *args: Any) -> tuple[float, float, float, float]:
        """Judge every cell of a plane against the plane's background."""

    def window_scores(self, *args: Any) -> None:
        """Judge the cells of a window against a threshold."""

    def blobs(self, *args: Any) -> tuple[list[tuple[float, ...]], Runs]:
        """Connected cells whose scores pass a threshold."""

    def fit(self, *args: Any) -> tuple[float, ...] | None:
        """Fit a disc from a start value."""

    def judge(self, *args: Any) -> tuple[int, int, float, float]:
        """Compare a fitted disc with the picture."""

    def probe(self, *args: Any) -> tuple[float, float]:
        """Mean levels inside and outside of a circle."""


def best_backend() -> Backend:
    """The compiled loops, or numpy where the package was installed without a compiler."""
    try:
        from podstream_workloads.discfit import _kernel  # noqa: PLC0415 - may not be there
    except ImportError as error:
        logger.warning("the compiled disc fit is missing, using numpy (slower): %s", error)
        return cast(Backend, plain)
    return cast(Backend, _kernel)
