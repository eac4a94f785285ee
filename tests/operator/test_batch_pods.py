"""Pods of sessions that work on volumes: pictures of a batch, recordings."""

from typing import Any

import pytest

from fakes.values import START, at, make_memory, make_session
from podstream_core.api import SessionStatus
from podstream_operator.decide.timeouts import next_expiry
from podstream_operator.resources.batch_volumes import batch_volumes
from podstream_operator.resources.recording_volume import recording_volume


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
