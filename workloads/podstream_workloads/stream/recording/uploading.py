"""Copies finished files to a store, in a thread of its own that recording never waits for.

One file after the other, in the order in which they were finished. What fails is tried again, with
growing pauses, for as long as the session lives: credentials are renewed, buckets made and servers
repaired meanwhile. A file leaves the queue once the store has it.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Final, Protocol

from podstream_core.api import SHOWN_WAITING, UploadResults
from podstream_workloads.stream.recording.sealing import Finished

logger = logging.getLogger(__name__)

FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 30.0
_HURRIED_PAUSE_S: Final = 1.0
"""Once the session is over and its pod waits."""
_MAX_MESSAGE_CHARS: Final = 400


class StoreError(Exception):
    """A file was not stored; the message says why and what to do, and has no secret in it."""


class Store(Protocol):
    """Where files are copied to."""

    def put(self, finished: Finished) -> str:
        """Copy a file, whole or not at all, and return its URL.

        Raises:
            StoreError: the store did not take it.
            OSError: the file cannot be read.
        """


class Uploader:
    """The files of one session on their way to a store."""

    def __init__(
        self,
        store: Store,
        *,
        on_stored: Callable[[Finished, str], None],
        on_change: Callable[[], None],
        first_pause_s: float = FIRST_PAUSE_S,
    ) -> None:
        """Prepare; the thread starts with the first file.

        Args:
            store: where to.
            on_stored: told in the uploading thread of each file and its URL.
            on_change: called in that thread when `results` has news.
            first_pause_s: after a failure; it doubles up to `LONGEST_PAUSE_S`.
        """
        self._store = store
        self._on_stored = on_stored
        self._on_change = on_change
        self._first_pause_s = first_pause_s
        self._changed = threading.Condition()
        self._waiting: deque[Finished] = deque()
        self._files = 0
        self._bytes = 0
        self._message: str | None = None
        self._is_hurried = False
        self._thread: threading.Thread | None = None

    def take(self, finished: Finished) -> None:
        """Copy a file as soon as those before it are."""
        with self._changed:
            self._waiting.append(finished)
            if self._thread is None:
                # A daemon: what the store keeps waiting does not keep the process.
                self._thread = threading.Thread(target=self._run, name="uploader", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def results(self) -> UploadResults:
        """The figures so far."""
        with self._changed:
            return UploadResults(
                files=self._files,
                bytes=self._bytes,
                waiting=len(self._waiting),
                waiting_names=[item.path.name for item in islice(self._waiting, SHOWN_WAITING)],
                message=self._message,
            )

    def hurry(self) -> None:
        """Make no long pauses from now on: the session ends."""
        with self._changed:
            self._is_hurried = True
            self._changed.notify_all()

    def finish(self, *, timeout_s: float) -> bool:
        """Wait until every file that was taken is stored; whether all are."""
        self.hurry()
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting, timeout_s)

    def _run(self) -> None:
        pause_s = self._first_pause_s
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._waiting))
                finished = self._waiting[0]
            try:
                url = self._store.put(finished)
            except FileNotFoundError:  # of the server's own it is a StoreError
                self._leave_out(finished)
                continue
            except BaseException as error:  # a panic below obstore is no Exception
                self._note_failure(finished, error)
                self._pause(pause_s)
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
                continue
            pause_s = self._first_pause_s
            self._on_stored(finished, url)
            with self._changed:
                self._waiting.popleft()
                self._files += 1
                self._bytes += finished.bytes
                self._message = None
                self._changed.notify_all()
            logger.info("uploaded", extra={"file": finished.path.name, "url": url})
            self._on_change()

    def _leave_out(self, finished: Finished) -> None:
        """Somebody has taken the file from the disk: those behind it must not wait for it."""
        message = f"{finished.path.name} was gone from the disk before it was copied"
        logger.error("not uploaded: %s", message, extra={"file": finished.path.name})
        with self._changed:
            self._waiting.popleft()
            self._message = message[:_MAX_MESSAGE_CHARS]
            self._changed.notify_all()
        self._on_change()

    def _note_failure(self, finished: Finished, error: BaseException) -> None:
        message = str(error)[:_MAX_MESSAGE_CHARS]
        if not isinstance(error, (StoreError, OSError)):
            logger.error("the upload failed", extra={"file": finished.path.name}, exc_info=error)
            message = f"the upload failed: {type(error).__name__}"
        with self._changed:
            is_news, self._message = message != self._message, message
        if is_news:
            logger.warning("not uploaded: %s", message, extra={"file": finished.path.name})
            self._on_change()

    def _pause(self, seconds: float) -> None:
        with self._changed:
            if self._is_hurried:
                seconds = min(seconds, _HURRIED_PAUSE_S)
                self._changed.wait(seconds)
            else:
                self._changed.wait_for(lambda: self._is_hurried, seconds)
