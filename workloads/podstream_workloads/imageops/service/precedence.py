"""Small calls go first: while one runs, large transfers pause between two chunks.

All calls of a session share one process and its interpreter's lock, and a connection of one client
cannot be spread over several. Moving a chunk of 1 MiB takes most of a millisecond of it; a few
transfers would make each step of a small call wait for that. A pause ends with the small calls, or
after a moment: transfers go on at 200 MB/s at least, whatever the small calls do.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

SMALL_BYTES: Final = 1 << 20
"""A call that declares up to one chunk is small."""
PAUSE_S: Final = 0.005
"""The longest pause before a chunk."""


class Precedence:
    """What the calls of one server know of each other; safe to use from threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._small_calls = 0
        self._is_clear = threading.Event()
        self._is_clear.set()

    @contextmanager
    def call(self, size: int) -> Iterator[None]:
        """Run a call that has declared so many bytes."""
        if size > SMALL_BYTES:
            yield
            return
        with self._lock:
            self._small_calls += 1
            self._is_clear.clear()
        try:
            yield
        finally:
            with self._lock:
                self._small_calls -= 1
                if not self._small_calls:
                    self._is_clear.set()

    def give_way(self) -> None:
        """Pause before a chunk of a large transfer, where small calls run."""
        if not self._is_clear.is_set():
            self._is_clear.wait(PAUSE_S)
