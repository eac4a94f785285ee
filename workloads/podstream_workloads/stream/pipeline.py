"""Where a frame goes: into the figures, to other workloads, to the recording, to the viewers."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

import msgspec

from podstream_core import names
from podstream_core.agentapi import SessionRef
from podstream_core.api import (
    FrameChoice,
    LiveStream,
    SourceType,
    Stream,
    StreamResults,
    StreamSourceResults,
    StreamState,
)
from podstream_workloads.agent.workload import Artefact
from podstream_workloads.sharing import FrameServer, Mark
from podstream_workloads.stream.frames import CHANNELS, Frame
from podstream_workloads.stream.processing.choosing import make_processing
from podstream_workloads.stream.recording.recorder import Place, Recorder
from podstream_workloads.stream.recording.s3 import S3Bucket
from podstream_workloads.stream.statistics import Statistics
from podstream_workloads.stream.viewing import Viewing

SETTLE_TIMEOUT_S: Final = 1.5
"""Less than the agent waits for a workload that is told of a change."""
CLOSE_TIMEOUT_S: Final = 2.5
"""For the last file of a recording; the agent gives a workload 3 s in all."""


class MoreViewers(Protocol):
    """Viewers that are served elsewhere."""

    @property
    def viewers(self) -> int:
        """How many."""

    def show(self, frame: Frame) -> None:
        """Show them a frame; never waits."""


class Pipeline:
    """What a session does with its frames; one thread calls all of it."""

    def __init__(
        self,
        spec: Stream,
        *,
        session: SessionRef,
        scratch: Path,
        volumes: Path,
        on_change: Callable[[], None],
        on_processing_failure: Callable[[str], None],
        onlookers: FrameServer | None = None,
    ) -> None:
        """Prepare for the frames of a session; `follow` lets them in.

        Args:
            spec: sizes, and whether and how frames are recorded.
            session: for the names of files.
            scratch: folder of recordings that have no volume.
            volumes: where the session's volumes lie.
            on_change: called in any thread when `results` has news that should not wait.
            on_processing_failure: told that frames are not processed any more, and why.
            onlookers: leads to the session's other workloads, where some look at the frames.

        Raises:
            ProcessingError: the operations do not fit the stream.
        """
        self.statistics = Statistics(checks_width=spec.source.type is SourceType.PUSH)
        self.source: StreamSourceResults | None = None
        """How the way to a source of the pod's own stands, where it has one."""
        self._processing = make_processing(
            spec, on_frame=self._processed, on_failure=on_processing_failure
        )
        self._onlookers = onlookers
        processing = self._processing
        viewed, recorded = processing.viewers, processing.recording
        self.viewed_size = processing.size_of(viewed)
        """Width and height of what viewers see, pixels."""
        self.viewing = Viewing(self.viewed_size[0] * self.viewed_size[1] * CHANNELS)
        self.more_viewers: MoreViewers | None = None
        """Viewers by WebRTC, once a client has spoken it."""
        self._live = LiveStream(state=StreamState.STOPPED)
        self._recorder = _make_recorder(
            spec,
            size=processing.size_of(recorded),
            session=session,
            scratch=scratch,
            volumes=volumes,
            on_change=on_change,
        )

    def follow(self, live: LiveStream) -> None:
        """Do from now on what the live members of the spec say.

        A recording that is to go on begins a new file, one that is not is finished: `settle` waits
        for that.
        """
        self._live = live
        recorder = self._recorder
        if recorder is None:
            return
        wanted = live.recording and self.is_running
        if wanted and not recorder.is_wanted:
            recorder.start()
        elif not wanted:
            recorder.stop()

    @property
    def is_running(self) -> bool:
        """Whether frames are used; otherwise they are counted and dropped."""
        return self._live.state is StreamState.RUNNING

    def settle(self) -> bool:
        """Wait until a recording that was ended is whole, up to `SETTLE_TIMEOUT_S`."""
        return self._recorder is None or self._recorder.settle(timeout_s=SETTLE_TIMEOUT_S)

    def frame(self, frame: Frame, *, now: float, mark: Mark | None = None) -> None:
        """Take a frame; it is copied where it is kept. Never waits.

        Args:
            frame: as it came.
            now: seconds on a monotonic clock.
            mark: by what its publisher knows it.
        """
        if not self.is_running:
            self.statistics.discarded()
            return
        self.statistics.frame(frame, now=now)
        if self._onlookers is not None:
            number = self.statistics.frames
            self._onlookers.offer(frame, sequence=number, at=time.monotonic(), mark=mark)
        self._processing.offer(frame)
        self._use(frame, of=FrameChoice.RAW, now=now)

    def _processed(self, frame: Frame) -> None:
        if self.is_running:
            self._use(frame, of=FrameChoice.PROCESSED, now=asyncio.get_running_loop().time())

    def _use(self, frame: Frame, *, of: FrameChoice, now: float) -> None:
        """Give a frame to those who have chosen its kind."""
        if self._recorder is not None and self._processing.recording is of:
            self._recorder.offer(frame, at=now)
        if self._processing.viewers is not of:
            return
        self.viewing.show(frame)
        if self.more_viewers is not None:
            self.more_viewers.show(frame)

    def results(self) -> StreamResults:
        """The figures so far."""
        more = 0 if self.more_viewers is None else self.more_viewers.viewers
        figures = msgspec.structs.replace(
            self.statistics.results(),
            state=self._live.state,
            viewers=self.viewing.count + more,
            source=self.source,
            frames_processed=self._processing.frames,
        )
        if self._recorder is None:
            return figures
        return msgspec.structs.replace(
            figures, recording=self._recorder.results(), recordings=self._recorder.shown()
        )

    def artefacts(self) -> tuple[Artefact, ...]:
        """Finished files, and what can be played of those that are not."""
        if self._recorder is None:
            return ()
        recorder = self._recorder
        playing = recorder.playing
        return (
            *(
                Artefact(later.name, now, is_live=True, later=later)
                for later, now in playing.growing
            ),
            *(
                Artefact(item.path.name, item.path, sha256=item.sha256)
                for item in recorder.finished
            ),
            *(Artefact(path.name, path, is_live=True) for path in playing.files),
        )

    def flush(self, *, timeout_s: float) -> bool:
        """Wait until the recording is copied to where it outlives the pod; whether it is."""
        return self._recorder is None or self._recorder.flush(timeout_s=timeout_s)

    async def drain(self) -> None:
        """End the operations, and let pictures that are being made be finished."""
        if self._onlookers is not None:
            self._onlookers.close()
        await self._processing.close()
        await self.viewing.close()

    def close(self) -> bool:
        """Finish the recording; whether that was done in time. Waits up to `CLOSE_TIMEOUT_S`."""
        return self._recorder is None or self._recorder.close(timeout_s=CLOSE_TIMEOUT_S)


def _make_recorder(
    spec: Stream,
    *,
    size: tuple[int, int],
    session: SessionRef,
    scratch: Path,
    volumes: Path,
    on_change: Callable[[], None],
) -> Recorder | None:
    recording = spec.recording
    if recording is None:
        return None
    folder = scratch
    if recording.volume is not None:
        folder = volumes / names.RECORDINGS / (recording.volume.path or "")
    store = None
    if recording.s3 is not None:
        secrets = volumes / names.RECORDING_S3
        store = S3Bucket(recording.s3, folder=secrets, session_uid=session.uid)
    return Recorder(
        recording,
        size=size,
        place=Place(
            folder=folder,
            session_uid=session.uid,
            session_name=session.name,
            store=store,
            playlists=scratch if recording.codec.is_fragmented else None,
        ),
        on_change=on_change,
    )
