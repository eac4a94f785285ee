import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from podstream_core.api import PoolKey, SessionKey
from podstream_router.objects import read_pod, read_pool, read_session


def raw(body: dict[str, Any]) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(body).encode())


def session_body() -> dict[str, Any]:
    return {
        "apiVersion": "podstream.dev/v1alpha1",
        "kind": "StreamSession",
        "metadata": {
            "name": "ball",
            "namespace": "lab",
            "uid": "u1",
            "creationTimestamp": "2026-03-01T10:00:00Z",
            "managedFields": [{"anything": 1}],
        },
        "spec": {"circle": {"width": 640}, "futureWorkload": {"x": [1]}, "frames": "odd"},
    }


def pod_body() -> dict[str, Any]:
    return {
        "metadata": {
            "name": "ball-1a2b3c4d",
            "namespace": "lab",
            "uid": "p1",
            "creationTimestamp": "2026-03-01T10:00:01Z",
            "labels": {"podstream.dev/session": "ball", "podstream.dev/role": "session"},
            "ownerReferences": [{"uid": "x"}, {"uid": "u1", "controller": True}],
        },
        "spec": {"containers": []},
        "status": {
            "phase": "Running",
            "podIP": "10.1.2.3",
            "containerStatuses": [{"name": "session", "state": {"running": {}}}],
        },
    }


def test_session_of_a_newer_api_is_read() -> None:
    session = read_session(raw(session_body()))
    assert session.key == SessionKey("lab", "ball")
    assert session.uid == "u1"
    assert session.workloads == ("circle",)
    assert not session.public
    assert not session.ended


@pytest.mark.parametrize(
    ("mode", "public"), [("Public", True), ("Token", False), ("SomethingNew", False)]
)
def test_only_public_is_public(mode: str, public: bool) -> None:
    body = session_body()
    body["spec"]["access"] = {"mode": mode}
    assert read_session(raw(body)).public is public


@pytest.mark.parametrize(
    ("phase", "ended"),
    [
        ("Pending", False),
        ("Ready", False),
        ("Connected", False),
        ("Completed", True),
        ("Failed", True),
    ],
)
def test_terminal_phase_ends_the_session(phase: str, ended: bool) -> None:
    body = session_body()
    body["status"] = {"phase": phase, "reason": "Why", "results": {"final": ended}}
    session = read_session(raw(body))
    assert bool(session.ended) is ended
    assert json.loads(session.results) == {"final": ended}


def test_session_that_is_being_deleted_has_ended() -> None:
    body = session_body()
    body["metadata"]["deletionTimestamp"] = "2026-03-01T11:00:00Z"
    assert "deleted" in read_session(raw(body)).ended


def test_running_pod_is_a_route() -> None:
    pod = read_pod(raw(pod_body()))
    assert pod is not None
    assert (pod.uid, pod.ip, pod.owner_uid) == ("p1", "10.1.2.3", "u1")
    assert pod.session == SessionKey("lab", "ball")


def terminate(body: dict[str, Any]) -> None:
    body["status"]["containerStatuses"][0]["state"] = {"terminated": {"exitCode": 1}}


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda b: b["status"].update(phase="Succeeded"), id="succeeded"),
        pytest.param(lambda b: b["status"].update(phase="Failed"), id="failed"),
        pytest.param(
            lambda b: b["metadata"].update(deletionTimestamp="2026-03-01T11:00:00Z"),
            id="terminating",
        ),
        pytest.param(terminate, id="container-exited"),
        pytest.param(lambda b: b["metadata"].update(ownerReferences=[]), id="no-owner"),
        pytest.param(
            lambda b: b["metadata"].update(ownerReferences=[{"uid": "u1"}]), id="no-controller"
        ),
        pytest.param(lambda b: b["metadata"].update(labels={}), id="no-labels"),
        pytest.param(
            lambda b: b["metadata"]["labels"].update({"podstream.dev/role": "client"}),
            id="client-pod",
        ),
    ],
)
def test_pod_that_has_ended_or_is_none_of_ours_is_no_route(
    change: Callable[[dict[str, Any]], object],
) -> None:
    body = pod_body()
    change(body)
    assert read_pod(raw(body)) is None


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda b: b["status"].update(phase="Pending"), id="pending"),
        pytest.param(lambda b: b["status"].pop("podIP"), id="no-address"),
        pytest.param(lambda b: b.pop("status"), id="no-status"),
    ],
)
def test_pod_that_does_not_run_yet_is_known_and_takes_no_connections(
    change: Callable[[dict[str, Any]], object],
) -> None:
    body = pod_body()
    change(body)
    pod = read_pod(raw(body))
    assert pod is not None
    assert not pod.running
    assert not pod.ready


def test_idle_pod_of_a_pool_belongs_to_no_session() -> None:
    body = pod_body()
    body["metadata"]["labels"] = {
        "podstream.dev/pool": "media",
        "podstream.dev/role": "session",
        "podstream.dev/pod-shape": "abc",
    }
    body["status"]["containerStatuses"][0]["ready"] = True
    pod = read_pod(raw(body))
    assert pod is not None
    assert pod.session is None
    assert pod.pool_key == PoolKey("lab", "media")
    assert (pod.shape, pod.owner_uid, pod.ready) == ("abc", "u1", True)


def test_session_of_a_connection_names_its_pool_and_its_pod() -> None:
    body = session_body()
    body["metadata"]["labels"] = {"podstream.dev/pool": "media"}
    body["metadata"]["annotations"] = {"podstream.dev/assignment": "id-1/media-ab12c/p1"}
    body["status"] = {"connection": {"protocol": "WHEP", "clientAddress": "192.0.2.7"}}
    session = read_session(raw(body))
    assert session.pool_key == PoolKey("lab", "media")
    assert session.assignment_id("p1") == "id-1"
    assert session.assignment_id("the pod after it") == "u1"
    assert session.subjects == ("u1", "id-1")
    assert session.client_address == "192.0.2.7"


def test_assignment_that_cannot_be_read_is_none() -> None:
    body = session_body()
    body["metadata"]["annotations"] = {"podstream.dev/assignment": "nonsense"}
    session = read_session(raw(body))
    assert session.assignment_id("p1") == "u1"
    assert session.subjects == ("u1",)


def pool_body() -> dict[str, Any]:
    return {
        "apiVersion": "podstream.dev/v1alpha1",
        "kind": "StreamPool",
        "metadata": {
            "name": "media",
            "namespace": "lab",
            "uid": "pool-1",
            "creationTimestamp": "2026-03-01T10:00:00Z",
        },
        "spec": {
            "template": {
                "spec": {
                    "circle": {"frames": 3},
                    "access": {"mode": "Public"},
                    "activeDeadlineSeconds": 90,
                    "futureMember": {"x": [1]},
                }
            },
            "warm": 2,
            "max": 4,
            "maxPerSource": 1,
            "listeners": ["signalling"],
        },
        "status": {"shape": "abc", "warm": 2},
    }


@pytest.mark.parametrize(
    ("source", "workloads"),
    [
        pytest.param("Upload", ("circle", "stream"), id="a-client-of-its-own"),
        pytest.param("Stream", ("stream",), id="looks-at-the-stream"),
    ],
)
def test_clients_are_not_led_to_a_circle_that_looks_at_the_stream(
    source: str, workloads: tuple[str, ...]
) -> None:
    body, pool = session_body(), pool_body()
    spec = {"circle": {"source": source}, "stream": {"source": {"type": "WHIP"}}}
    body["spec"] = pool["spec"]["template"]["spec"] = spec
    assert read_session(raw(body)).workloads == workloads
    assert read_pool(raw(pool)).workloads == workloads


def test_pool_is_read_with_its_template_as_it_stands() -> None:
    pool = read_pool(raw(pool_body()))
    assert pool.key == PoolKey("lab", "media")
    assert pool.public
    assert pool.workloads == ("circle",)
    assert (pool.max, pool.max_per_source, pool.deadline_s, pool.shape) == (4, 1, 90, "abc")
    assert pool.listeners == ("signalling",)
    assert not pool.ended
    assert json.loads(pool.template) == pool_body()["spec"]["template"]["spec"]


def test_pool_that_is_being_deleted_has_ended() -> None:
    body = pool_body()
    body["metadata"]["deletionTimestamp"] = "2026-03-01T11:00:00Z"
    del body["status"]
    pool = read_pool(raw(body))
    assert "deleted" in pool.ended
    assert not pool.shape
