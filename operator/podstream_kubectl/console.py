"""What the plugin writes: results to standard output, all else to standard error."""

import json
import sys
from collections.abc import Callable
from typing import Any, TextIO


class Console:
    """The two streams; results can be piped while progress stays on the terminal."""

    def __init__(self, *, out: TextIO | None = None, err: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._err = err or sys.stderr

    def write(self, text: str) -> None:
        """Text as it is to standard output."""
        self._out.write(text)
        self._out.flush()

    def say(self, line: str) -> None:
        """One line for people to standard error."""
        self._err.write(line + "\n")
        self._err.flush()

    def json(self, value: Any, *, compact: bool = False) -> None:
        """A value as JSON."""
        self.write(json.dumps(value, indent=None if compact else 2) + "\n")


Clock = Callable[[], float]
"""Monotonic seconds."""
