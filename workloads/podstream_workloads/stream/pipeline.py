"""Where a frame goes: into the figures, and to the recording."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from podstream_core import names
from podstream_core.agentapi import SessionRef
from podstream_core.api import Stream, StreamResults
from podstream_workloads.agent.workload import Artefact
from podstream_workloads.stream.frames import Frame
from podstream_workloads.stream.recording.recorder import Place, Recorder
from podstream_workloads.stream.statistics import Statistics

CLOSE_TIMEOUT_S: Final = 2.5
"""For the last file of a recording; the agent gives a workload 3 s in all."""


class Pipeline:
    """What a session does with its frames; one thread calls all of it."""

    def __init__(
        self,
        spec: Stream,
        *,
        session: SessionRef,
        scratch: Path,
        on_change: Callable[[], None],
    ) -> None:
        """Prepare for the frames of a session, and begin its recording where it has one.

        Args:
            spec: sizes, and whether and how frames are recorded.
            session: for the names of files.
            scratch: folder of recordings that have no volume.
            on_change: called in any thread when `results` has news that should not wait.
        """
        self.statistics = Statistics()
        self._recorder: Recorder | None = None
        recording = spec.recording
        if recording is None:
            return
        folder = scratch
        if recording.volume is not None:
            folder = Path(names.RECORDING_PATH) / (recording.volume.path or "")
        self._recorder = Recorder(
            recording,
            size=(spec.width, spec.height),
            place=Place(folder=folder, session_uid=session.uid, session_name=session.name),
            on_change=on_change,
        )
        if recording.enabled:
            self._recorder.start()

    def frame(self, frame: Frame, *, now: float) -> None:
        """Take a frame; it is copied where it is kept. Never waits.

        Args:
            frame: as it came.
            now: seconds on a monotonic clock.
        """
        self.statistics.frame(frame, now=now)
        if self._recorder is not None:
            self._recorder.offer(frame, at=now)

    def results(self) -> StreamResults:
        """The figures so far."""
        figures = self.statistics.results()
        if self._recorder is None:
            return figures
        return msgspec.structs.replace(
            figures, recording=self._recorder.results(), recordings=self._recorder.shown()
        )

    def artefacts(self) -> tuple[Artefact, ...]:
        """Finished files."""
        if self._recorder is None:
            return ()
        return tuple(
            Artefact(item.path.name, item.path, sha256=item.sha256)
            for item in self._recorder.finished
        )

    def close(self) -> bool:
        """Finish the recording; whether that was done in time. Waits up to `CLOSE_TIMEOUT_S`."""
        return self._recorder is None or self._recorder.close(timeout_s=CLOSE_TIMEOUT_S)
