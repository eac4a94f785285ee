"""Fills a camera's slot with frames of the session's stream, which another process hands over."""

import threading
import time
from typing import Final

from podstream_workloads.sharing import FrameReader
from podstream_workloads.tracking.edge.latest import Frame, LatestFrame

_JITTER: Final = 0.25
"""Of a frame's time: publishers do not keep their rate exactly."""
_JOIN_S: Final = 1.0


class StreamFeed:
    """One thread, from `start` to `close` or to the stream's end."""

    def __init__(self, reader: FrameReader, *, frames: LatestFrame, fps: int) -> None:
        """Prepare; the reader is closed by `close`.

        Args:
            reader: of the stream's frames.
            frames: the camera's slot, closed at the end.
            fps: most frames a second that are passed on, copied; the others are left as they are.
        """
        self._reader = reader
        self._frames = frames
        self._spacing_s = (1.0 - _JITTER) / fps
        self._thread = threading.Thread(target=self._run, name="stream-feed", daemon=True)
        self.skipped = 0
        """Frames that came sooner than the rate wants them."""

    @property
    def dropped(self) -> int:
        """Frames that newer ones replaced before they came here."""
        return self._reader.dropped

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End; waits for the frame in hand."""
        self._reader.close()
        if self._thread.is_alive():
            self._thread.join(_JOIN_S)

    def _run(self) -> None:
        try:
            self._feed()
        finally:
            self._frames.close()  # who waits for a picture must not do so for ever

    def _feed(self) -> None:
        # Seconds of the day's clock: what a site hears of a camera never repeats.
        offset_s = time.time() - time.monotonic()
        due_at = 0.0
        while (shared := self._reader.next()) is not None:
            if shared.at < due_at:
                self.skipped += 1
                continue
            due_at = shared.at + self._spacing_s
            # The tracker keeps a picture for longer than it may be kept here.
            image = shared.image.copy()
            self._frames.put(Frame(image, shared.at + offset_s, shared.sequence - 1))
