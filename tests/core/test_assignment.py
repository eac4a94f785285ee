from podstream_core import names
from podstream_core.assignment import AssignedPod, assignment_id

ASSIGNED = AssignedPod("3b1f6c1e-0000-4000-8000-1f2e3d4c5b6a", "media-x7k2p", "pod-uid")
ANNOTATIONS = {names.ANNOTATION_ASSIGNMENT: str(ASSIGNED)}


def test_an_assignment_survives_its_annotation() -> None:
    assert AssignedPod.of(ANNOTATIONS) == ASSIGNED


def test_what_has_another_form_is_no_assignment() -> None:
    for text in ("", "a", "a/b", "a/b/c/d", "a//c", "a/b/c\n", "/b/c", "a/../c"):
        assert AssignedPod.parse(text) is None, text


def test_the_id_counts_for_its_pod_alone() -> None:
    ours = assignment_id(ANNOTATIONS, session_uid="session-uid", pod_uid="pod-uid")
    replacement = assignment_id(ANNOTATIONS, session_uid="session-uid", pod_uid="other")
    assert (ours, replacement) == (ASSIGNED.assignment_id, "session-uid")
    assert assignment_id({}, session_uid="session-uid", pod_uid="pod-uid") == "session-uid"
