"""The terminal while it is a screen: keys come at once, and it is left as it was found."""

import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final, TextIO

from podstream_kubectl.errors import UsageError

_ENTER: Final = "\x1b[?1049h\x1b[?25l\x1b[2J"
"""xterm's alternate screen, no cursor, empty."""
_LEAVE: Final = "\x1b[0m\x1b[?25h\x1b[?1049l"


class Screen:
    """A terminal that shows pictures."""

    def __init__(self, keys: TextIO, out: TextIO) -> None:
        self._keys = keys.fileno()
        self._out = out

    def size(self) -> tuple[int, int]:
        """Columns and lines, as they are now."""
        found = os.get_terminal_size(self._out.fileno())
        return found.columns, found.lines

    def write(self, text: str) -> None:
        """Show text."""
        self._out.write(text)
        self._out.flush()

    def key(self) -> str:
        """A key that was pressed; empty where there is none. Never waits."""
        ready, _, _ = select.select([self._keys], [], [], 0)
        return os.read(self._keys, 1).decode(errors="replace") if ready else ""


@contextmanager
def screen() -> Iterator[Screen]:
    """Take the terminal for the block; it is given back however the block ends.

    Raises:
        UsageError: input or output is no terminal.
    """
    keys, out = sys.stdin, sys.stdout
    if not (keys.isatty() and out.isatty()):
        raise UsageError("--terminal draws on a terminal: do not redirect input or output")
    before = termios.tcgetattr(keys.fileno())
    ending = signal.signal(signal.SIGTERM, _interrupt)
    try:
        tty.setcbreak(keys.fileno())
        shown = Screen(keys, out)
        shown.write(_ENTER)
        yield shown
    finally:
        signal.signal(signal.SIGTERM, ending)
        out.write(_LEAVE)
        out.flush()
        termios.tcsetattr(keys.fileno(), termios.TCSADRAIN, before)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
