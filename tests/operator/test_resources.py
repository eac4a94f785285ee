"""Everything that the operator creates, as complete literal dicts."""

import base64
from typing import Any

import pytest

from fakes.values import IMAGE, UID, make_session
from podstream_core.api import SessionSpec
from podstream_operator.resources import (
    build_access_secret,
    build_client_pod,
    build_session_pod,
    pod_shape,
    session_pod_name,
)
from podstream_operator.resources.quantities import merge_resources, parse_quantity

OWNER = [
    {
        "apiVersion": "podstream.dev/v1alpha1",
        "kind": "StreamSession",
        "name": "ball",
        "uid": UID,
        "controller": True,
        "blockOwnerDeletion": True,
    }
]
LABELS = {
    "app.kubernetes.io/name": "podstream-session",
    "app.kubernetes.io/part-of": "podstream",
    "app.kubernetes.io/managed-by": "podstream-operator",
    "podstream.dev/session": "ball",
}
POD_SECURITY = {
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "runAsGroup": 65532,
    "seccompProfile": {"type": "RuntimeDefault"},
}
CONTAINER_SECURITY = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def field(path: str) -> dict[str, Any]:
    return {"fieldRef": {"fieldPath": path}}


def lost_node(taint: str) -> dict[str, Any]:
    return {
        "key": f"node.kubernetes.io/{taint}",
        "operator": "Exists",
        "effect": "NoExecute",
        "tolerationSeconds": 10,
    }


def test_session_pod() -> None:
    session = make_session()
    assert build_session_pod(session, image=IMAGE, restarts=0) == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": session_pod_name(session, restarts=0),
            "namespace": "media",
            "labels": {
                **LABELS,
                "podstream.dev/role": "session",
                "podstream.dev/pod-shape": pod_shape(session.spec, image=IMAGE),
            },
            "annotations": {"podstream.dev/restart": "0"},
            "ownerReferences": OWNER,
        },
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 10,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": POD_SECURITY,
            "tolerations": [lost_node("not-ready"), lost_node("unreachable")],
            "containers": [
                {
                    "name": "session",
                    "image": "podstream/session:1",
                    "imagePullPolicy": "IfNotPresent",
                    "env": [
                        {"name": "POD_UID", "valueFrom": field("metadata.uid")},
                        {"name": "POD_NAME", "valueFrom": field("metadata.name")},
                        {"name": "POD_NAMESPACE", "valueFrom": field("metadata.namespace")},
                        {"name": "POD_IP", "valueFrom": field("status.podIP")},
                        {"name": "PODSTREAM_PUBLIC_KEYS", "value": '{"keys":[]}'},
                        {"name": "PODSTREAM_WORKLOADS", "value": "circle"},
                        {"name": "PODSTREAM_LOG_LEVEL", "value": "INFO"},
                        {"name": "PODSTREAM_LOG_FORMAT", "value": "json"},
                    ],
                    "ports": [
                        {"name": "control", "containerPort": 9440, "protocol": "TCP"},
                        {"name": "connect", "containerPort": 9441, "protocol": "TCP"},
                        {"name": "stream", "containerPort": 9442, "protocol": "TCP"},
                    ],
                    "resources": {
                        "requests": {"cpu": "250m", "memory": "256Mi"},
                        "limits": {"cpu": "2", "memory": "1Gi"},
                    },
                    "readinessProbe": {
                        "httpGet": {"path": "/readyz", "port": "control"},
                        "periodSeconds": 2,
                        "timeoutSeconds": 2,
                        "failureThreshold": 3,
                    },
                    "livenessProbe": {
                        "httpGet": {"path": "/healthz", "port": "control"},
                        "initialDelaySeconds": 10,
                        "periodSeconds": 10,
                        "timeoutSeconds": 5,
                        "failureThreshold": 6,
                    },
                    "securityContext": CONTAINER_SECURITY,
                    "terminationMessagePath": "/dev/termination-log",
                    "terminationMessagePolicy": "File",
                    "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
                }
            ],
            "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}}],
        },
    }


def test_session_pod_takes_the_typed_settings_and_nothing_of_ours_is_overridden() -> None:
    knobs = {
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {}},
        "topologySpreadConstraints": [{"maxSkew": 1}],
        "priorityClassName": "high",
        "runtimeClassName": "gvisor",
        "imagePullSecrets": [{"name": "registry"}],
        "labels": {
            "team": "vision",
            "podstream.dev/role": "client",
            "podstream.dev/pool": "x",
            "app.kubernetes.io/managed-by": "me",
        },
        "annotations": {"note": "x", "podstream.dev/assignment": "y"},
        "resources": {"limits": {"memory": "2Gi"}},
    }
    pod = build_session_pod(make_session(pod=knobs), image=IMAGE, restarts=0)
    labels = pod["metadata"]["labels"]
    assert labels.pop("podstream.dev/pod-shape")
    assert labels == {**LABELS, "podstream.dev/role": "session", "team": "vision"}
    assert pod["metadata"]["annotations"] == {"note": "x", "podstream.dev/restart": "0"}
    spec = pod["spec"]
    assert spec["tolerations"] == [*knobs["tolerations"], lost_node("unreachable")]
    assert spec["containers"][0]["resources"] == {
        "requests": {"cpu": "250m", "memory": "256Mi"},
        "limits": {"cpu": "2", "memory": "2Gi"},
    }
    for name in ("nodeSelector", "affinity", "topologySpreadConstraints", "imagePullSecrets"):
        assert spec[name] == knobs[name]
    assert (spec["priorityClassName"], spec["runtimeClassName"]) == ("high", "gvisor")
    assert spec["securityContext"] == POD_SECURITY


def test_client_pod() -> None:
    session = make_session(circle={"frames": 5, "estimator": {"method": "Hough", "dp": 4}})
    pod = build_client_pod(session, image=IMAGE, url="http://r/s/media/ball/whep", restarts=0)
    environment = pod["spec"]["containers"][0].pop("env")
    assert pod == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": pod["metadata"]["name"],
            "namespace": "media",
            "labels": {**LABELS, "podstream.dev/role": "client"},
            "ownerReferences": OWNER,
        },
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 5,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": POD_SECURITY,
            "containers": [
                {
                    "name": "client",
                    "image": "podstream/session:1",
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["podstream-client"],
                    "resources": {
                        "requests": {"cpu": "250m", "memory": "256Mi"},
                        "limits": {"cpu": "2", "memory": "1Gi"},
                    },
                    "securityContext": CONTAINER_SECURITY,
                    "terminationMessagePolicy": "FallbackToLogsOnError",
                    "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
                }
            ],
            "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}],
        },
    }
    assert pod["metadata"]["name"].startswith("ball-client-")
    values = {item["name"]: item for item in environment}
    assert values["PODSTREAM_CLIENT_URL"]["value"] == "http://r/s/media/ball/whep"
    assert values["PODSTREAM_CLIENT_TOKEN"]["valueFrom"] == {
        "secretKeyRef": {"name": "ball-access", "key": "token"}
    }
    assert '"method":"Hough"' in values["PODSTREAM_CLIENT_SPEC"]["value"]


def test_client_of_a_public_session_has_no_token() -> None:
    session = make_session(access={"mode": "Public"})
    pod = build_client_pod(session, image=IMAGE, url="http://r", restarts=0)
    names = [item["name"] for item in pod["spec"]["containers"][0]["env"]]
    assert "PODSTREAM_CLIENT_TOKEN" not in names


def test_access_secret() -> None:
    assert build_access_secret(make_session(), token="abc") == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "ball-access",
            "namespace": "media",
            "labels": LABELS,
            "ownerReferences": OWNER,
        },
        "type": "Opaque",
        "data": {"token": base64.b64encode(b"abc").decode()},
    }


def test_names_differ_by_replacement_and_fit_a_host_name() -> None:
    session = make_session()
    assert session_pod_name(session, restarts=0) != session_pod_name(session, restarts=1)
    assert session_pod_name(session, restarts=0) == session_pod_name(session, restarts=0)
    assert len(session_pod_name(session, restarts=0)) == len("ball-") + 8


def test_shape_is_about_what_a_pod_cannot_change() -> None:
    def shape(**spec: Any) -> str:
        return pod_shape(SessionSpec.from_body({"circle": {}, **spec}), image=IMAGE)

    assert shape() == shape(circle={"frames": 9}, idleTimeoutSeconds=5)
    assert shape() != shape(pod={"nodeSelector": {"disk": "ssd"}})


@pytest.mark.parametrize(
    ("text", "value"),
    [("250m", 0.25), ("2", 2), (3, 3), ("1.5Gi", 1.5 * 2**30), ("1e3", 1000), ("100k", 100_000)],
)
def test_quantities(text: str | int, value: float) -> None:
    assert float(parse_quantity(text)) == value


@pytest.mark.parametrize("text", ["", "1 Gi", "x", "1Zi", "--1"])
def test_nonsense_is_no_quantity(text: str) -> None:
    with pytest.raises(ValueError, match=r"quantity|suffix"):
        parse_quantity(text)


@pytest.mark.parametrize(
    ("requests", "limits", "expected"),
    [
        pytest.param({}, {}, ("250m", "2"), id="defaults"),
        pytest.param({"cpu": "1"}, {}, ("1", "2"), id="request"),
        pytest.param({"cpu": "3"}, {}, ("3", "3"), id="request-above-the-default-limit"),
        pytest.param({}, {"cpu": "100m"}, ("100m", "100m"), id="limit-below-the-default-request"),
        pytest.param({"cpu": 1}, {"cpu": 4}, ("1", "4"), id="both"),
    ],
)
def test_resources_are_merged_without_contradiction(
    requests: dict[str, str | int], limits: dict[str, str | int], expected: tuple[str, str]
) -> None:
    merged = merge_resources(
        requests=requests,
        limits=limits,
        default_requests={"cpu": "250m"},
        default_limits={"cpu": "2"},
    )
    assert (merged["requests"]["cpu"], merged["limits"]["cpu"]) == expected
