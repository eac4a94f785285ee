"""Pods of sessions that work on volumes or fetch their video: batches, recordings, sources."""

from typing import Any

import pytest

from fakes.values import IMAGE, START, at, make_memory, make_session
from podstream_core.api import SessionStatus
from podstream_operator.decide.timeouts import next_expiry
from podstream_operator.resources.batch_volumes import batch_volumes
from podstream_operator.resources.egress import pulls_label
from podstream_operator.resources.recording_volume import recording_volume
from podstream_operator.resources.session_pod import build_session_pod
from podstream_operator.resources.shape import pod_shape
from podstream_operator.resources.source_volume import source_volume


def pictures(**batch: Any) -> dict[str, Any]:
    return {"circle": None, "imageOps": {"batch": {"input": {"configMap": "photos"}, **batch}}}


def test_input_is_mounted_read_only_and_output_for_writing() -> None:
    spec = make_session(**pictures(output={"claimName": "results", "path": "a"})).spec
    found = batch_volumes(spec)
    assert found.volumes == [
        {"name": "batch-input", "configMap": {"name": "photos"}},
        {"name": "batch-output", "persistentVolumeClaim": {"claimName": "results"}},
    ]
    assert found.mounts == [
        {"name": "batch-input", "mountPath": "/podstream/batch/input", "readOnly": True},
        {"name": "batch-output", "mountPath": "/podstream/batch/output"},
    ]


def test_a_claim_is_only_read() -> None:
    spec = make_session(**pictures(input={"volume": {"claimName": "scans"}})).spec
    claim = {"claimName": "scans", "readOnly": True}
    assert batch_volumes(spec).volumes == [{"name": "batch-input", "persistentVolumeClaim": claim}]


def test_other_sessions_have_no_volumes_of_it() -> None:
    assert batch_volumes(make_session(imageOps={}).spec).volumes == []


@pytest.mark.parametrize(
    ("spec", "reason"), [({}, "IdleTimeout"), (pictures(), "DeadlineExceeded")]
)
def test_a_batch_waits_for_no_client(spec: dict[str, Any], reason: str) -> None:
    session = make_session(idleTimeoutSeconds=5, activeDeadlineSeconds=100, **spec)
    found = next_expiry(
        session,
        previous=SessionStatus(),
        memory=make_memory(),
        ready_since=at(1),
        connected=False,
        pod=None,
    )
    assert found.reason == reason
    assert found.at > START


def test_recordings_are_kept_on_their_claim() -> None:
    volume = {"claimName": "films", "path": "a"}
    spec = make_session(circle=None, stream={"recording": {"volume": volume}}).spec
    found = recording_volume(spec)
    assert found.volumes == [
        {"name": "recordings", "persistentVolumeClaim": {"claimName": "films"}}
    ]
    assert found.mounts == [{"name": "recordings", "mountPath": "/podstream/recordings"}]


def test_recordings_without_a_claim_need_no_volume() -> None:
    spec = make_session(circle=None, stream={"recording": {}}).spec
    assert recording_volume(spec).volumes == []


FILM = {"type": "File", "file": {"path": "a.mp4", "claimName": "films"}}
CAMERA = {"type": "RTSP", "rtsp": {"url": "rtsp://camera/live"}}


def test_the_file_of_a_source_is_only_read() -> None:
    found = source_volume(make_session(circle=None, stream={"source": FILM}).spec)
    claim = {"claimName": "films", "readOnly": True}
    assert found.volumes == [{"name": "source", "persistentVolumeClaim": claim}]
    assert found.mounts == [{"name": "source", "mountPath": "/podstream/source", "readOnly": True}]


def test_a_file_of_the_image_needs_no_volume() -> None:
    file = {"type": "File", "file": {"path": "/films/a.mp4"}}
    assert source_volume(make_session(circle=None, stream={"source": file}).spec).volumes == []


@pytest.mark.parametrize(
    ("source", "labels"),
    [
        pytest.param(CAMERA, {"podstream.dev/pulls": "RTSP"}, id="camera"),
        pytest.param(FILM, {}, id="file"),
        pytest.param({}, {}, id="pushed"),
    ],
)
def test_only_pods_that_pull_may_begin_connections(
    source: dict[str, Any], labels: dict[str, str]
) -> None:
    """The label opens the chart's policy, so it is the pod's shape and nothing that a user sets."""
    spec = make_session(circle=None, stream={"source": source}).spec
    assert pulls_label(spec) == labels
    pod = build_session_pod(
        make_session(circle=None, stream={"source": source}), image=IMAGE, restarts=0
    )
    assert labels.items() <= pod["metadata"]["labels"].items()
    assert ("podstream.dev/pulls" in pod["metadata"]["labels"]) is bool(labels)
    other = make_session(circle=None, stream={}).spec
    assert (pod_shape(spec, image=IMAGE) == pod_shape(other, image=IMAGE)) is (source == {})
