"""What may change in a stored session, and how kubectl shows one."""

import json
from typing import Any

import pytest

from chart.server import Answer, kubectl, session

pytestmark = pytest.mark.e2e

BASE: dict[str, Any] = {
    "circle": {"frames": 10},
    "access": {"mode": "Public"},
    "pod": {"labels": {"a": "b"}},
}


@pytest.fixture(scope="module")
def stored(namespace: str) -> str:
    """Name of a session that is stored; nothing serves this namespace."""
    name = "stored"
    manifest = json.dumps(session(BASE, name=name))
    answer = kubectl("create", "--namespace", namespace, "--filename=-", stdin=manifest)
    assert answer.accepted, answer.text
    return name


def patch(namespace: str, name: str, spec: dict[str, Any]) -> Answer:
    return kubectl(
        "patch",
        "streamsession",
        name,
        f"--namespace={namespace}",
        "--type=merge",
        "--dry-run=server",
        f"--patch={json.dumps({'spec': spec})}",
    )


@pytest.mark.parametrize(
    ("change", "member"),
    [
        pytest.param({"circle": {"frames": 11}}, "circle", id="circle"),
        pytest.param({"circle": None}, "circle", id="circle-removed"),
        pytest.param({"client": {"builtIn": True}}, "client", id="client"),
        pytest.param({"access": {"mode": "Token"}}, "access", id="access"),
        pytest.param({"access": None}, "access", id="access-back-to-default"),
        pytest.param({"listeners": ["signalling"]}, "listeners", id="listeners-added"),
        pytest.param({"lingerSeconds": 1}, "lingerSeconds", id="linger"),
        pytest.param({"reconnectSeconds": 1}, "reconnectSeconds", id="reconnect"),
        pytest.param({"restartPolicy": "OnPodLoss"}, "restartPolicy", id="restart-policy"),
        pytest.param({"pod": {"nodeSelector": {"a": "b"}}}, "pod", id="pod-member-added"),
        pytest.param({"pod": {"labels": None}}, "pod", id="pod-member-removed"),
        pytest.param(
            {"pod": {"affinity": {"podAffinity": {}}}}, "pod", id="affinity-of-the-pod-added"
        ),
    ],
)
def test_change_is_refused(
    namespace: str, stored: str, change: dict[str, Any], member: str
) -> None:
    answer = patch(namespace, stored, change)
    assert not answer.accepted
    assert f"spec.{member} cannot be changed after creation: delete the session" in answer.text


@pytest.mark.parametrize(
    "member",
    [
        "startupTimeoutSeconds",
        "idleTimeoutSeconds",
        "activeDeadlineSeconds",
        "ttlSecondsAfterFinished",
        "resultsIntervalSeconds",
    ],
)
def test_time_limits_can_be_changed(namespace: str, stored: str, member: str) -> None:
    for value in (30, None):
        answer = patch(namespace, stored, {member: value})
        assert answer.accepted, answer.text


RECORDED: dict[str, Any] = {
    "stream": {"recording": {"enabled": False, "volume": {"claimName": "films"}}},
    "access": {"mode": "Public"},
}


@pytest.fixture(scope="module")
def stream(namespace: str) -> str:
    name = "stored-stream"
    manifest = json.dumps(session(RECORDED, name=name))
    answer = kubectl("create", "--namespace", namespace, "--filename=-", stdin=manifest)
    assert answer.accepted, answer.text
    return name


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"state": "Stopped"}, id="state"),
        pytest.param({"state": None}, id="state-back-to-default"),
        pytest.param({"recording": {"enabled": True}}, id="recording"),
        pytest.param({"state": "Stopped", "recording": {"enabled": True}}, id="both"),
    ],
)
def test_stream_and_recording_can_be_switched(
    namespace: str, stream: str, change: dict[str, Any]
) -> None:
    answer = patch(namespace, stream, {"stream": change})
    assert answer.accepted, answer.text


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"width": 320}, id="width"),
        pytest.param({"recording": None}, id="recording-removed"),
        pytest.param({"recording": {"codec": "MJPG"}}, id="codec"),
        pytest.param({"recording": {"volume": None}}, id="volume-removed"),
        pytest.param({"recording": {"volume": {"path": "a"}}}, id="folder"),
        pytest.param({"recording": {"enabled": True, "maxBytes": 2097152}}, id="budget"),
    ],
)
def test_nothing_else_of_a_stream_can_be_changed(
    namespace: str, stream: str, change: dict[str, Any]
) -> None:
    answer = patch(namespace, stream, {"stream": change})
    assert not answer.accepted
    assert "only state and recording.enabled can be changed" in answer.text


def test_columns_show_the_status(namespace: str, stored: str) -> None:
    status = {
        "phase": "Completed",
        "workloads": "circle",
        "pod": {"name": "stored-0badcafe", "origin": "Cold"},
        "endpoints": [{"protocol": "WHEP", "url": "http://a/s", "clusterUrl": "http://b/s"}],
        "results": {"final": True, "circle": {"rmsePx": 0.0123, "fps": 30.0}},
    }
    written = kubectl(
        "patch",
        "streamsession",
        stored,
        f"--namespace={namespace}",
        "--subresource=status",
        "--type=merge",
        f"--patch={json.dumps({'status': status})}",
    )
    assert written.accepted, written.text
    shown = kubectl("get", "strs", stored, f"--namespace={namespace}")
    header, row = shown.text.splitlines()
    assert header.split() == ["NAME", "PHASE", "WORKLOADS", "POD", "RMSE", "FPS", "AGE"]
    assert row.split()[:-1] == ["stored", "Completed", "circle", "stored-0badcafe", "0.0123", "30"]
    wide = kubectl("get", "podstream", f"--namespace={namespace}", "-o", "wide").text
    assert [word for word in wide.split() if word in ("http://a/s", "Cold")] == [
        "http://a/s",
        "Cold",
    ]


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("streamsession.spec", ["circle", "startupTimeoutSeconds", "Can be changed."]),
        ("streamsession.spec.circle.ball", ["Radius of the ball in pixels", "Default 20."]),
        ("streamsession.status.results.circle", ["rmsePx", "95th percentile"]),
        ("streamsession.spec.pod.affinity", ["podAntiAffinity"]),
    ],
)
def test_explain_is_a_manual(namespace: str, field: str, words: list[str]) -> None:
    assert namespace
    answer = kubectl("explain", field)
    assert answer.accepted, answer.text
    text = " ".join(answer.text.split())
    assert [word for word in words if word not in text] == []
