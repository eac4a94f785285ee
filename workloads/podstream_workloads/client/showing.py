"""Which picture the client's window shows, and with which marks.

Where the server tells the truth, it comes a moment after the frame: that frame is then shown, so
that all marks are of one frame. Otherwise frames are shown as they are looked at.
"""

import functools
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from av import VideoFrame

from podstream_workloads.circle.channel import ToldTruth
from podstream_workloads.circle.estimators import Point
from podstream_workloads.client.marks import draw_marks

_KEPT: Final = 8
"""Frames that wait for their truth: a decoder's pictures are not many."""


class Screen(Protocol):
    """Where pictures are shown."""

    def show(self, draw: Callable[[], np.ndarray]) -> None:
        """Show a picture unless a newer one comes first; never waits."""


@dataclass(frozen=True, slots=True)
class _Seen:
    frame: VideoFrame
    place: Point | None
    radius: float | None


class Showing:
    """Chooses pictures for a window."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._waiting: OrderedDict[int, _Seen] = OrderedDict()
        self._is_told = False

    def looked(
        self,
        frame: VideoFrame,
        place: Point | None,
        *,
        radius: float | None,
        rtp_timestamp: int | None,
    ) -> None:
        """A frame was looked at; places and radius in pixels."""
        seen = _Seen(frame, place, radius)
        if rtp_timestamp is not None and place is not None:
            self._waiting[rtp_timestamp] = seen
            if len(self._waiting) > _KEPT:
                self._waiting.popitem(last=False)
            if self._is_told:
                return
        self._show(seen, None)

    def told(self, truth: ToldTruth) -> None:
        """The server says where the ball was in a frame."""
        self._is_told = True
        if truth.rtp_timestamp is None:
            return
        seen = self._waiting.pop(truth.rtp_timestamp, None)
        if seen is not None:
            self._show(seen, truth.position)

    def _show(self, seen: _Seen, truth: Point | None) -> None:
        self._screen.show(functools.partial(_draw, seen, truth))


def _draw(seen: _Seen, truth: Point | None) -> np.ndarray:
    picture = seen.frame.to_ndarray(format="bgr24")
    return draw_marks(picture, seen=seen.place, radius=seen.radius, truth=truth)
