"""Progress for people: one line a step, with its time, on standard error.

Standard output carries results only, so that ``eval "$(… env)"`` stays safe.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


def say(message: str) -> None:
    """Write one line of progress to standard error, at once."""
    sys.stderr.write(f"{message}\n")
    sys.stderr.flush()


def put(line: str) -> None:
    """Write one line of result to standard output."""
    sys.stdout.write(f"{line}\n")


@contextmanager
def step(what: str) -> Iterator[None]:
    """Time a step; say what it was and how many seconds it took, only when it succeeded."""
    started = time.monotonic()
    yield
    say(f"  {time.monotonic() - started:6.1f} s  {what}")
