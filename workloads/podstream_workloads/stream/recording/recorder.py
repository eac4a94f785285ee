"""Records frames in a thread of its own; whoever offers them never waits.

A recording consists of files ("segments"). `start` begins a new one with the next frame, `stop`
finishes it; in between a new one begins every `segment_seconds`. What the disk or the encoder does
ends the recording with a reason, never the stream.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import av.error

from podstream_core.api import (
    Recording,
    RecordingFile,
    RecordingResults,
    StopReason,
)
from podstream_workloads.stream.frames import Frame
from podstream_workloads.stream.recording.avi import NoAviHeader
from podstream_workloads.stream.recording.box import Arrival, FrameBox, Order
from podstream_workloads.stream.recording.folder import (
    Stopped,
    check_room,
    make_folder,
    stopped_by,
)
from podstream_workloads.stream.recording.library import Library
from podstream_workloads.stream.recording.naming import file_name, free_path
from podstream_workloads.stream.recording.playing import Playing
from podstream_workloads.stream.recording.sealing import Finished, Sealer
from podstream_workloads.stream.recording.segment import Segment, Whole
from podstream_workloads.stream.recording.uploading import Store, Uploader

logger = logging.getLogger(__name__)

MAX_FILES: Final = 400
"""Files of a session: each is an artefact, and their list travels whole."""
_ROOM_EVERY_S: Final = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where recordings go and what they are called."""

    folder: Path
    session_uid: str
    session_name: str
    store: Store | None = None
    """Where finished files are copied to."""
    playlists: Path | None = None
    """Folder of the playlist of files that can be played while they are written; without it there
    is none."""


class Recorder:
    """The recordings of one session."""

    def __init__(
        self,
        settings: Recording,
        *,
        size: tuple[int, int],
        place: Place,
        on_change: Callable[[], None],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Prepare a recorder; nothing is written before `start`.

        Args:
            settings: of the session.
            size: width and height of every frame, pixels.
            place: folder and names.
            on_change: called in the recording thread when figures have changed of which somebody
                should know soon.
            now: for file names.
        """
        self._settings = settings
        self._size = size
        self._place = place
        self._on_change = on_change
        self._now = now
        self._box = FrameBox()
        self._thread: threading.Thread | None = None
        self._is_wanted = False
        self._segment: Segment | None = None
        self._sealer: Sealer | None = None
        self._begun = 0
        self._written = 0
        self._room_checked_at = 0.0
        self._library = Library()
        self.playing = Playing(place.playlists, on_change=on_change)
        self._uploader = (
            None
            if place.store is None
            else Uploader(place.store, on_stored=self._library.stored, on_change=on_change)
        )
        self._stopped: Stopped | None = None
        self._stops: deque[threading.Event] = deque()
        self._last_stop: threading.Event | None = None

    # -- the side that receives frames; none of this waits -----------------------------------------

    @property
    def is_wanted(self) -> bool:
        """Whether frames are to be recorded."""
        return self._is_wanted

    @property
    def finished(self) -> tuple[Finished, ...]:
        """Whole files that lie on the disk, in the order in which they were begun."""
        return self._library.on_disk

    def start(self) -> None:
        """Begin a new file with the next frame."""
        if self._thread is None:
            self._sealer = Sealer(on_sealed=self._on_sealed, on_failure=self._on_seal_failure)
            self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
            self._thread.start()
        self._is_wanted = True
        self._stopped = None
        self._box.order(Order.START)

    def offer(self, frame: Frame, *, at: float) -> None:
        """Record a frame if that is wanted; it is copied, or dropped while the encoder is behind.

        Args:
            frame: of the declared size.
            at: seconds on a monotonic clock.
        """
        if self._is_wanted and self._stopped is None:
            self._box.offer(frame, at=at)

    def stop(self) -> None:
        """Finish the file with the frames that have been offered."""
        if self._is_wanted:
            self._is_wanted = False
            self._last_stop = threading.Event()
            self._stops.append(self._last_stop)
            self._box.order(Order.STOP)

    def settle(self, *, timeout_s: float) -> bool:
        """Wait until the file that was stopped last is finished; whether it is."""
        return self._last_stop is None or self._last_stop.wait(timeout_s)

    def close(self, *, timeout_s: float) -> bool:
        """Finish the file and end the thread; whether it has ended in time. Waits."""
        self._is_wanted = False
        if self._thread is None:
            return True
        self._box.order(Order.CLOSE)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def flush(self, *, timeout_s: float) -> bool:
        """Wait until the last file is finished and all are in the store, if there is one.

        What is not finished does not wait for its copy yet, so without the former the latter says
        nothing. Whether all are there.
        """
        if self._uploader is None:
            return True
        deadline = time.monotonic() + timeout_s
        self._uploader.hurry()
        is_whole = self.close(timeout_s=timeout_s)
        return self._uploader.finish(timeout_s=max(deadline - time.monotonic(), 0.0)) and is_whole

    def results(self) -> RecordingResults:
        """Figures over all files."""
        finished, stopped = self._library.files, self._stopped
        return RecordingResults(
            active=self._is_wanted and stopped is None,
            stop_reason=None if stopped is None else stopped.reason,
            message=None if stopped is None else str(stopped),
            files=len(finished),
            frames=sum(item.frames for item in finished),
            frames_dropped=self._box.dropped,
            bytes=sum(item.bytes for item in finished),
            upload=None if self._uploader is None else self._uploader.results(),
            playlist=self.playing.artefact,
        )

    def shown(self) -> list[RecordingFile]:
        """The first files, for the session's status."""
        return self._library.shown()

    # -- the recording thread ----------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            item = self._box.take()
            try:
                match item:
                    case Arrival():
                        self._record(item)
                    case Order.START:
                        self._stopped = None
                        self._finish()
                    case Order.STOP | Order.GIVE_UP | Order.CLOSE:
                        self._finish()
                        self.playing.ended()
            except Stopped as stopped:
                self._give_up(stopped)
            except OSError as error:
                self._give_up(stopped_by(error, self._place.folder))
            except (av.error.FFmpegError, NoAviHeader, ValueError) as error:
                self._give_up(Stopped(StopReason.ENCODER, f"the encoder failed: {error}"))
            assert self._sealer is not None  # it is started before this thread
            if item is Order.STOP:
                self._sealer.call_after(self._stops.popleft().set)
            if item is Order.CLOSE:
                self._sealer.close()
                return

    def _record(self, arrival: Arrival) -> None:
        if self._stopped is not None:
            return  # it came before the recording was given up
        segment = self._segment
        if segment is not None and segment.age_s(arrival.at) >= self._settings.segment_seconds:
            self._finish()
            segment = None
        if segment is None:
            segment = self._begin()
        elif arrival.at - self._room_checked_at >= _ROOM_EVERY_S:
            self._room_checked_at = arrival.at
            self._check_room(segment.size)
        segment.write(arrival.frame, at=arrival.at)
        self.playing.grown(segment)

    def _begin(self) -> Segment:
        if self._begun >= MAX_FILES:
            raise Stopped(
                StopReason.FILES,
                f"a session has at most {MAX_FILES} files: raise "
                "spec.stream.recording.segmentSeconds",
            )
        make_folder(self._place.folder)
        self._check_room(0)
        self._begun += 1
        stem = file_name(
            self._settings.file_name,
            session=self._place.session_uid,
            name=self._place.session_name,
            moment=self._now(),
            index=self._begun,
        )
        codec = self._settings.codec
        path = free_path(self._place.folder, stem, codec.extension)
        width, height = self._size
        self._segment = Segment(path, codec=codec, width=width, height=height)
        self.playing.begun(self._segment)
        logger.info("recording", extra={"file": path.name})
        self._on_change()
        return self._segment

    def _check_room(self, growing: int) -> None:
        while True:
            used = self._written - self._library.freed + growing
            try:
                check_room(self._place.folder, used=used, max_bytes=self._settings.max_bytes)
            except Stopped as stopped:
                # What the bucket has makes room for what it does not have.
                removed = None
                if stopped.reason is not StopReason.STORAGE:
                    removed = self._library.remove_oldest()
                if removed is None:
                    raise
                self.playing.removed(removed.path)
                self._on_change()
            else:
                return

    def _finish(self) -> None:
        segment, self._segment = self._segment, None
        if segment is None:
            return
        try:
            whole = segment.finish()
        except BaseException:
            left = segment.abandon()
            if left is not None:
                self._keep(left)
            else:
                self.playing.settled(segment.path)
            raise
        try:
            self.playing.grown(segment, whole=whole)  # before the checksum: it moves times
        finally:
            self._keep(whole)

    def _keep(self, whole: Whole) -> None:
        self._written += whole.bytes
        assert self._sealer is not None  # it is started before this thread
        self._sealer.seal(whole)

    def _give_up(self, stopped: Stopped) -> None:
        """End the recording, and keep of its file what can be kept."""
        self._stopped = stopped
        logger.error("recording ended: %s", stopped, extra={"reason": stopped.reason.value})
        try:
            self._finish()
            self.playing.ended()
        except (OSError, av.error.FFmpegError, NoAviHeader, ValueError) as error:
            logger.error("the last file ends early: %s", error)
        self._on_change()

    # -- the sealing thread ------------------------------------------------------------------------

    def _on_sealed(self, finished: Finished) -> None:
        self._library.add(finished)
        self.playing.settled(finished.path)
        if self._uploader is not None:
            self._uploader.take(finished)
        logger.info(
            "recorded",
            extra={
                "file": finished.path.name,
                "frames": finished.frames,
                "bytes": finished.bytes,
            },
        )
        self._on_change()

    def _on_seal_failure(self, error: OSError) -> None:
        self._stopped = stopped_by(error, self._place.folder)
        logger.error("recording ended: %s", self._stopped)
        self._box.order(Order.GIVE_UP)  # the segment belongs to the recording thread
        self._on_change()
