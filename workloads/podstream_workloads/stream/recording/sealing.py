"""Brings whole files to the disk and takes their checksums, beside the recording.

Either takes as long as the disk does, which for a long segment is longer than frames may wait.
"""

import hashlib
import os
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from podstream_workloads.stream.recording.segment import Whole


@dataclass(frozen=True, slots=True)
class Finished:
    """A file that is whole and safe, and will not change."""

    path: Path
    frames: int
    seconds: float
    """Playing time."""
    bytes: int
    sha256: str


class Sealer:
    """A thread that seals one file after the other, in the order in which they come."""

    def __init__(
        self, *, on_sealed: Callable[[Finished], None], on_failure: Callable[[OSError], None]
    ) -> None:
        """Start the thread, in which both are called."""
        self._on_sealed = on_sealed
        self._on_failure = on_failure
        self._work: queue.SimpleQueue[Whole | Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="sealer", daemon=True)
        self._thread.start()

    def seal(self, whole: Whole) -> None:
        """Have a file sealed."""
        self._work.put(whole)

    def call_after(self, done: Callable[[], None]) -> None:
        """Call back once everything that came before is sealed."""
        self._work.put(done)

    def close(self) -> None:
        """Wait until everything is sealed, and end."""
        self._work.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (item := self._work.get()) is not None:
            if callable(item):
                item()
                continue
            try:
                finished = seal(item)
            except OSError as error:
                self._on_failure(error)
            else:
                self._on_sealed(finished)


def seal(whole: Whole) -> Finished:
    """Wait until a file is on the disk, and take its checksum.

    Raises:
        OSError: the disk does not keep it.
    """
    with whole.path.open("rb") as file:
        os.fsync(file.fileno())
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Finished(whole.path, whole.frames, whole.seconds, whole.bytes, digest)
