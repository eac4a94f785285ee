"""Which steps of a stream's figures are worth a Kubernetes Event: what a user has switched."""

from podstream_core.api import Results, StreamResults, StreamState
from podstream_operator.status.note import Note, Severity


def stream_notes(before: Results | None, after: Results | None) -> tuple[Note, ...]:
    """Events for a stream that was stopped or started, and for its recording.

    The first figures tell where the session began, and are not told as a change.
    """
    if before is None or before.stream is None or after is None or after.stream is None:
        return ()
    return (*_state(before.stream, after.stream), *_recording(before.stream, after.stream))


def _state(before: StreamResults, after: StreamResults) -> tuple[Note, ...]:
    if before.state is after.state:
        return ()
    if after.state is StreamState.STOPPED:
        return (Note(Severity.NORMAL, "StreamStopped", "Stop", "frames are dropped from now on"),)
    return (Note(Severity.NORMAL, "StreamStarted", "Start", "frames are taken from now on"),)


def _recording(before: StreamResults, after: StreamResults) -> tuple[Note, ...]:
    was, now = before.recording, after.recording
    if was is None or now is None or was.active == now.active:
        return ()
    if now.active:
        return (Note(Severity.NORMAL, "RecordingStarted", "Record", "frames are recorded"),)
    if now.stop_reason is not None:
        return (Note(Severity.WARNING, "RecordingEnded", "Record", now.message or now.stop_reason),)
    text = f"{now.files} files with {now.frames} frames in all"
    return (Note(Severity.NORMAL, "RecordingStopped", "Record", text),)
