"""Which steps between two statuses are worth a Kubernetes Event."""

from podstream_core.api import ConditionType, SessionStatus
from podstream_operator.status.conditions import is_true
from podstream_operator.status.ending import ending_of
from podstream_operator.status.note import Note, Severity
from podstream_operator.status.stream_notes import stream_notes


def transitions(before: SessionStatus, after: SessionStatus) -> tuple[Note, ...]:
    """Events for the first Ready, the first connection, a replaced pod and the end.

    That is at most four in a life, beside those of what a user switches (docs/operations.md lists
    them). A replacement's Ready is not told again: that the pod was replaced says it.
    """
    ending = ending_of(after)
    if ending is not None:
        if ending_of(before) is not None:
            return ()
        if ending.completed:
            return (Note(Severity.NORMAL, "Completed", "Complete", "every workload is done"),)
        return (Note(Severity.WARNING, ending.reason, "Fail", after.message or ending.reason),)
    notes = []
    if _restarts(after) > _restarts(before):
        lost = before.pod.name if before.pod else "?"
        pod = after.pod.name if after.pod else "?"
        text = f"pod {pod} takes the place of {lost}, which was lost"
        notes.append(Note(Severity.WARNING, "PodReplaced", "Replace", text))
    if _became(ConditionType.READY, before, after) and not _is_replacement(after):
        pod = after.pod.name if after.pod else "?"
        notes.append(Note(Severity.NORMAL, "Ready", "Assign", f"pod {pod} waits for its client"))
    if _became(ConditionType.CONNECTED, before, after) and before.timeline.connected_at is None:
        notes.append(Note(Severity.NORMAL, "Connected", "Connect", "a client is connected"))
    notes += stream_notes(before.results, after.results)
    return tuple(notes)


def _became(kind: ConditionType, before: SessionStatus, after: SessionStatus) -> bool:
    return is_true(after, kind) and not is_true(before, kind)


def _is_replacement(status: SessionStatus) -> bool:
    return _restarts(status) > 0


def _restarts(status: SessionStatus) -> int:
    return status.pod.restarts if status.pod else 0
