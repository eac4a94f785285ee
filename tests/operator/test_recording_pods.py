"""Pods of sessions that copy their recordings to a bucket."""

from typing import Any

from fakes.values import IMAGE, make_session
from podstream_core.api import StreamSession
from podstream_operator.resources.egress import stores_label
from podstream_operator.resources.recording_volume import recording_volume
from podstream_operator.resources.session_pod import build_session_pod
from podstream_operator.resources.shape import pod_shape

BUCKET = {"bucket": "films", "credentialsSecretRef": {"name": "s3"}}


def session(**recording: Any) -> StreamSession:
    return make_session(circle=None, stream={"recording": recording})


def test_only_the_keys_of_the_upload_are_mounted_and_none_has_to_be_there() -> None:
    found = recording_volume(session(s3=BUCKET).spec)
    (volume,), (mount,) = found.volumes, found.mounts
    assert volume["secret"]["secretName"] == "s3"
    assert volume["secret"]["optional"] is True
    keys = ["accessKeyID", "secretAccessKey", "sessionToken", "ca.crt"]
    assert [item["key"] for item in volume["secret"]["items"]] == keys
    assert mount == {
        "name": "recording-s3",
        "mountPath": "/podstream/recording-s3",
        "readOnly": True,
    }


def test_a_bucket_stands_beside_a_claim() -> None:
    found = recording_volume(session(s3=BUCKET, volume={"claimName": "disk"}).spec)
    assert [item["name"] for item in found.volumes] == ["recordings", "recording-s3"]


def test_its_pod_may_reach_the_bucket_and_may_take_its_time_to_end() -> None:
    stored = session(s3={**BUCKET, "finishSeconds": 90})
    plain = session()
    pod, other = (build_session_pod(item, image=IMAGE, restarts=0) for item in (stored, plain))
    assert stores_label(stored.spec) == {"podstream.dev/stores": "S3"}
    assert stores_label(plain.spec) == {}
    assert pod["metadata"]["labels"]["podstream.dev/stores"] == "S3"
    assert "podstream.dev/stores" not in other["metadata"]["labels"]
    assert pod["spec"]["terminationGracePeriodSeconds"] == 100
    assert other["spec"]["terminationGracePeriodSeconds"] == 10


def test_what_a_pod_cannot_change_later_is_its_shape() -> None:
    shapes = {
        pod_shape(session(**recording).spec, image=IMAGE)
        for recording in (
            {},
            {"s3": BUCKET},
            {"s3": {**BUCKET, "credentialsSecretRef": {"name": "other"}}},
            {"s3": {**BUCKET, "finishSeconds": 90}},
        )
    }
    assert len(shapes) == 4
    moved = session(s3={**BUCKET, "bucket": "elsewhere"})
    assert pod_shape(moved.spec, image=IMAGE) in shapes
