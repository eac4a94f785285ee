"""A session that looks at its client's video: what was found, over all of the client's connections.

The video comes from a publisher of the workload's own, or from the session's stream.

The truth is not known here, so there are places and counts and no errors.
"""

from pathlib import Path
from typing import Final, Protocol

from av import VideoFrame

from podstream_core.api import Circle, CircleResults, Codec, Position
from podstream_workloads.circle.estimators import Point, make_estimator
from podstream_workloads.circle.ledger import PLOT_NAME, TABLE_NAME
from podstream_workloads.circle.plot import Point as PlotPoint
from podstream_workloads.circle.plot import Thinned, track_svg
from podstream_workloads.circle.publisher import Publisher, PublisherEvents
from podstream_workloads.circle.summary import upload_summary

_MAX_ROWS: Final = 500_000
_HEADER: Final = "frame,seconds,pts,x_px,y_px\n"


class FrameSource(Protocol):
    """Where frames come from now."""

    @property
    def received(self) -> int:
        """Frames so far."""

    @property
    def dropped(self) -> int:
        """Of these, frames that a newer one replaced before they were looked at."""

    @property
    def codec(self) -> Codec | None:
        """In which they come, where that is known."""


class Uploads:
    """Makes the receiver of each connection and keeps count."""

    def __init__(self, circle: Circle, *, folder: Path) -> None:
        self._circle = circle
        self._folder = folder
        self._table = (folder / TABLE_NAME).open("w", encoding="ascii")
        self._table.write(_HEADER)
        self._track = Thinned()
        self._source: FrameSource | None = None
        self._received = self._dropped = self._found = self._missed = 0
        self._first_at: float | None = None
        self._last_at = 0.0
        self._place: Point | None = None
        self._size: tuple[int, int] | None = None
        self._codec: Codec | None = None

    @property
    def is_done(self) -> bool:
        """Whether the ball was found in the wanted number of frames."""
        return 0 < self._circle.frames <= self._found

    def publisher(self, events: PublisherEvents) -> Publisher:
        """The receiver for a new connection."""
        publisher = Publisher(make_estimator(self._circle.estimator), events=events)
        self._source = publisher
        return publisher

    def follow(self, source: FrameSource) -> None:
        """Count the frames of a source that somebody else has made."""
        self._source = source

    def established(self) -> None:
        """The client is there: its codec is settled."""
        if self._source is not None:
            self._codec = self._source.codec

    def looked(self, frame: VideoFrame, found: Point | None, *, now: float) -> None:
        """Count a frame; nothing once the session is done."""
        if self.is_done or self._table.closed:
            return
        if self._first_at is None:
            self._first_at = now
        self._last_at, self._size = now, (frame.width, frame.height)
        if found is None:
            self._missed += 1
        else:
            self._found += 1
            self._place = found
            self._track.add(PlotPoint(now - self._first_at, *found, *found))
        self._write_row(found, seconds=now - self._first_at, pts=frame.pts or 0)

    def connection_over(self) -> None:
        """Keep what the connection counted."""
        if self._source is not None:
            self._received += self._source.received
            self._dropped += self._source.dropped
            self._source = None

    def results(self) -> CircleResults:
        """The figures so far."""
        source = self._source
        lasted = 0.0 if self._first_at is None else self._last_at - self._first_at
        looked = self._found + self._missed
        x, y = self._place or (None, None)
        fps = round((looked - 1) / lasted, 2) if lasted > 0 else None
        return CircleResults(
            codec=self._codec,
            frames_received=self._received + (source.received if source else 0),
            frames_dropped=self._dropped + (source.dropped if source else 0),
            frames_found=self._found,
            frames_missed=self._missed,
            fps=fps,
            position=None if x is None or y is None else Position(x=round(x, 3), y=round(y, 3)),
            summary=upload_summary(found=self._found, looked=looked, fps=fps, size=self._size),
        )

    def artefacts(self) -> tuple[tuple[str, Path], ...]:
        """Table and drawing; the table is closed by this."""
        self._table.close()
        plot = self._folder / PLOT_NAME
        if not plot.exists():
            width, height = self._size or (self._circle.width, self._circle.height)
            plot.write_text(track_svg(self._track.points, width=width, height=height), "ascii")
        return ((TABLE_NAME, self._folder / TABLE_NAME), (PLOT_NAME, plot))

    def close(self) -> None:
        """Write nothing any more."""
        self._table.close()

    def _write_row(self, found: Point | None, *, seconds: float, pts: int) -> None:
        number = self._found + self._missed
        if number <= _MAX_ROWS:
            place = "," if found is None else f"{found[0]:.3f},{found[1]:.3f}"
            self._table.write(f"{number},{seconds:.4f},{pts},{place}\n")
