"""The finished files of a session: which there are, where each lies, what they take of the disk.

Filled by the sealing thread, emptied by the recording thread, marked by the uploading one, read by
the event loop.
"""

import logging
import threading
from pathlib import Path

from podstream_core.api import SHOWN_RECORDINGS, RecordingFile
from podstream_workloads.stream.recording.sealing import Finished

logger = logging.getLogger(__name__)


class Library:
    """Finished files, in the order in which they were begun."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: tuple[Finished, ...] = ()
        self._urls: dict[Path, str] = {}
        self._removed: set[Path] = set()
        self._freed = 0

    @property
    def files(self) -> tuple[Finished, ...]:
        """All of them, wherever they lie."""
        return self._files

    @property
    def on_disk(self) -> tuple[Finished, ...]:
        """Those that can be read here."""
        with self._lock:
            return tuple(item for item in self._files if item.path not in self._removed)

    @property
    def freed(self) -> int:
        """Bytes of files that are on the disk no more."""
        return self._freed

    def add(self, finished: Finished) -> None:
        """Take a new file."""
        with self._lock:
            self._files = (*self._files, finished)

    def stored(self, finished: Finished, url: str) -> None:
        """A file has been copied to where it outlives the disk."""
        with self._lock:
            self._urls[finished.path] = url

    def remove_oldest(self) -> Finished | None:
        """Take the oldest file off the disk that is stored elsewhere; `None` if there is none.

        Raises:
            OSError: it cannot be removed.
        """
        with self._lock:
            found = next(
                (
                    item
                    for item in self._files
                    if item.path in self._urls and item.path not in self._removed
                ),
                None,
            )
            if found is None:
                return None
            # Marked first: whoever asks from now on is not shown a file that is about to go.
            self._removed.add(found.path)
        found.path.unlink(missing_ok=True)
        self._freed += found.bytes
        logger.info("removed from the disk", extra={"file": found.path.name})
        return found

    def shown(self) -> list[RecordingFile]:
        """The first files, for the session's status."""
        with self._lock:
            urls = dict(self._urls)
        return [
            RecordingFile(
                name=item.path.name,
                frames=item.frames,
                seconds=round(item.seconds, 3),
                bytes=item.bytes,
                sha256=item.sha256,
                url=urls.get(item.path),
            )
            for item in self._files[:SHOWN_RECORDINGS]
        ]
