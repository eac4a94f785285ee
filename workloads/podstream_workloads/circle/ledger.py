"""What a session keeps about its estimates: score, log lines, table of frames, drawing."""

import sys
from pathlib import Path
from typing import TextIO

from podstream_core.api import Codec
from podstream_core.api.circle import CircleResults
from podstream_workloads.circle.channel import Estimate
from podstream_workloads.circle.plot import Point, Thinned, svg
from podstream_workloads.circle.score import Score, Scored
from podstream_workloads.circle.truth import Truth

TABLE_NAME = "frames.csv"
PLOT_NAME = "plot.svg"
_MAX_ROWS = 500_000
_HEADER = "frame,seconds,x_px,y_px,estimated_x_px,estimated_y_px,error_px,latency_ms\n"


class Ledger:
    """Scores estimates and writes a row for each; closed once, then the table never changes."""

    def __init__(self, folder: Path, *, log_estimates: bool, frames: int, out: TextIO) -> None:
        self._folder = folder
        self._path = folder / TABLE_NAME
        self._plotted = Thinned()
        self._table = self._path.open("w", encoding="ascii")
        self._table.write(_HEADER)
        self._rows = 0
        self._started: float | None = None
        self._log_estimates = log_estimates
        self._frames = frames
        self._out = out
        self.score = Score()
        self.codec: Codec | None = None

    @property
    def is_done(self) -> bool:
        """Whether the wanted number of frames is scored."""
        return 0 < self._frames <= self.score.scored

    def enter(self, estimate: Estimate, truth: Truth | None, *, now: float) -> Scored | None:
        """Score an estimate; `None` where there is nothing to score."""
        if self.is_done or self._table.closed:
            return None
        if truth is None:
            self.score.unmatched += 1
            return None
        if estimate.frame_code is not None:
            self.score.compare_code(estimate.frame_code, truth)
        if estimate.position is None:
            self.score.missed += 1
            return None
        scored = self.score.add(truth, position=estimate.position, now=now)
        self._write_row(scored, now=now)
        if self._log_estimates:
            self._log(estimate, scored)
        return scored

    def results(self, *, unsettled: int) -> CircleResults:
        """The figures so far."""
        return self.score.results(codec=self.codec, unsettled=unsettled)

    def close(self) -> Path:
        """Finish the table and return its path."""
        self._table.close()
        return self._path

    def plot(self, *, width: int, height: int) -> Path:
        """Draw the estimates, once; the picture's size is given in pixels."""
        path = self._folder / PLOT_NAME
        if not path.exists():
            rmse = self.score.results(codec=None, unsettled=0).rmse_euclidean_px
            points = self._plotted.points
            path.write_text(svg(points, width=width, height=height, rmse=rmse), encoding="ascii")
        return path

    def _write_row(self, scored: Scored, *, now: float) -> None:
        truth = scored.truth
        if self._started is None:
            self._started = now
        self._plotted.add(Point(now - self._started, truth.x, truth.y, scored.x, scored.y))
        self._rows += 1
        if self._rows > _MAX_ROWS:
            return
        self._table.write(
            f"{truth.index},{now - self._started:.4f},{truth.x:.3f},{truth.y:.3f},"
            f"{scored.x:.3f},{scored.y:.3f},{scored.squared_error**0.5:.4f},"
            f"{scored.latency_ms:.2f}\n"
        )

    def _log(self, estimate: Estimate, scored: Scored) -> None:
        """The four lines of the original's server."""
        print(
            f"time stamp {estimate.pts}:\n"
            f"\tactual location: ({_plain(scored.truth.x)}, {_plain(scored.truth.y)})\n"
            f"\testimated location: ({_plain(scored.x)}, {_plain(scored.y)})\n"
            f"\tRMSE: {scored.rmse}",
            file=self._out,
            flush=True,
        )


def stdout() -> TextIO:
    """Where the original's lines go."""
    return sys.stdout


def _plain(value: float) -> str:
    """Whole numbers as the original prints them, others with three decimals."""
    return str(int(value)) if float(value).is_integer() else f"{value:.3f}"
