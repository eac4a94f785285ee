"""Shows how far a transfer has come, on standard error."""

import sys
import time
from collections.abc import Callable
from typing import Final, TextIO

from podstream_workloads.imageops.cli.options import ProgressStyle

WORKING: Final = "working"
"""The word of what is counted in operations; everything else is bytes."""
BAR_FROM_BYTES: Final = 8 << 20
"""Below this a bar on a terminal only flickers."""
_PERIOD_S: Final = 0.1
_WIDTH: Final = 30
_PERCENT: Final = 100
_MB: Final = 1e6


class Progress:
    """One transfer after another; each has a word, a number of bytes and a total."""

    def __init__(
        self,
        style: ProgressStyle,
        *,
        total: int,
        out: TextIO | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`total`: bytes of the picture, which decides whether `auto` shows a bar."""
        self._out = sys.stderr if out is None else out
        self._now = now
        if style is ProgressStyle.AUTO:
            is_worthwhile = self._out.isatty() and total >= BAR_FROM_BYTES
            style = ProgressStyle.BAR if is_worthwhile else ProgressStyle.NONE
        self._style = style
        self._word = ""
        self._begun = 0.0
        self._shown = -_PERIOD_S
        self._first = 0
        self._last_percent = -1

    def update(self, word: str, done: int, total: int) -> None:
        """`done` of `total` bytes of `word` are through; operations where it is `WORKING`."""
        if self._style is ProgressStyle.NONE:
            return
        now = self._now()
        if word != self._word:
            self.end()
            self._word, self._begun, self._first, self._last_percent = word, now, done, -1
        percent = _PERCENT * done // total if total else _PERCENT
        if self._style is ProgressStyle.LINES:
            if percent > self._last_percent:
                self._last_percent = percent
                print(f"{word} {done} of {total}", file=self._out, flush=True)
        elif done >= total or now - self._shown >= _PERIOD_S:
            self._shown = now
            self._draw(word, done, total, percent, now)

    def note(self, text: str) -> None:
        """Say something, where progress is shown at all."""
        if self._style is not ProgressStyle.NONE:
            self.end()
            print(text, file=self._out, flush=True)

    def end(self) -> None:
        """Leave the bar's line."""
        if self._style is ProgressStyle.BAR and self._word:
            self._out.write("\n")
            self._out.flush()
        self._word = ""

    def _draw(self, word: str, done: int, total: int, percent: int, now: float) -> None:
        filled = _WIDTH * done // total if total else _WIDTH
        bar = "#" * filled + "." * (_WIDTH - filled)
        if word == WORKING:
            figures = f"{done} of {total} operations"
        else:
            rate = (done - self._first) / _MB / max(now - self._begun, 1e-3)
            figures = f"{done / _MB:.1f} of {total / _MB:.1f} MB  {rate:.0f} MB/s"
        self._out.write(f"\r{word:<9} [{bar}] {percent:3d} %  {figures}\x1b[K")
        self._out.flush()
