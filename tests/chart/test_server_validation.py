"""Which sessions the real API server accepts, and in what words it refuses the others."""

import json
from typing import Any

import pytest
import yaml

from chart.server import session, submit
from contracts.crds import SAMPLES

pytestmark = pytest.mark.e2e

CIRCLE: dict[str, Any] = {"circle": {}}


def with_pod(**pod: Any) -> dict[str, Any]:
    return CIRCLE | {"pod": pod}


def with_circle(**circle: Any) -> dict[str, Any]:
    return {"circle": circle}


REFUSED = [
    pytest.param({}, "spec names no workload: set spec.circle", id="no-workload"),
    pytest.param({"client": {"builtIn": True}}, "spec names no workload", id="client-alone"),
    pytest.param(
        with_circle(ball={"radius": 240}), "the ball does not fit into the picture", id="big-ball"
    ),
    pytest.param(
        with_circle(width=64, height=2000, ball={"radius": 32}),
        "lower ball.radius below half of width and height",
        id="narrow-picture",
    ),
    pytest.param(with_circle(width=641), "multiple of 2", id="odd-width"),
    pytest.param(with_circle(width=62), "greater than or equal to 64", id="small-width"),
    pytest.param(with_circle(height=2162), "less than or equal to 2160", id="large-height"),
    pytest.param(with_circle(fps=0), "greater than or equal to 1", id="no-frames-per-second"),
    pytest.param(with_circle(fps=29.97), "must be of type integer", id="fractional-fps"),
    pytest.param(
        with_circle(source="Stream"),
        "spec.circle.source Stream looks at the frames of the session's stream: set spec.stream",
        id="circle-without-its-stream",
    ),
    pytest.param(
        {"imageOps": {"stream": {"operations": ["gray"]}}},
        "spec.imageOps.stream works on the frames of the session's stream: set spec.stream",
        id="image-operations-without-their-stream",
    ),
    pytest.param(
        {
            "stream": {},
            "imageOps": {
                "stream": {"operations": ["gray"]},
                "batch": {"input": {"configMap": "photos"}},
            },
        },
        "remove imageOps.batch or imageOps.stream",
        id="image-operations-on-a-batch-and-a-stream",
    ),
    pytest.param(
        {"tracking": {"camera": {"id": "gate", "source": {"type": "Stream"}}}},
        "spec.tracking.camera.source.type Stream takes the frames of the session's stream",
        id="camera-without-its-stream",
    ),
    pytest.param(
        {"tracking": {"camera": {"id": "gate"}}},
        "a camera reports to its site: set siteRef",
        id="camera-without-its-site",
    ),
    pytest.param(
        with_circle(source="Stream") | {"stream": {}, "client": {"builtIn": True}},
        "the built-in client has no video of its own",
        id="built-in-client-of-a-stream",
    ),
    pytest.param(with_circle(codec="AV1"), 'supported values: "H264", "VP8"', id="codec"),
    pytest.param(with_circle(frames=-1), "greater than or equal to 0", id="negative-frames"),
    pytest.param(
        with_circle(ball={"color": "green"}), "spec.circle.ball.color", id="colour-by-name"
    ),
    pytest.param(
        with_circle(ball={"motion": "Spiral"}), 'supported values: "Random", "Fixed"', id="motion"
    ),
    pytest.param(with_circle(ball={"speed": 101}), "less than or equal to 100", id="speed"),
    pytest.param(
        with_circle(estimator={"method": "Guess"}),
        'supported values: "DiscFit", "Hough", "Moments"',
        id="estimator",
    ),
    pytest.param(with_circle(estimator={"dp": 0.5}), "greater than or equal to 1", id="dp"),
    pytest.param(with_circle(widht=640), 'unknown field "spec.circle.widht"', id="typing-error"),
    pytest.param(
        CIRCLE | {"listeners": ["signalling"]},
        "set spec.access.mode to Public",
        id="listener-with-token",
    ),
    pytest.param(
        CIRCLE | {"access": {"mode": "Public"}, "listeners": ["a", "a"]},
        "Duplicate value",
        id="listener-twice",
    ),
    pytest.param(
        CIRCLE | {"access": {"mode": "Public"}, "listeners": ["Signal"]},
        "spec.listeners[0]",
        id="listener-name",
    ),
    pytest.param(
        CIRCLE | {"access": {"mode": "JWT"}}, 'supported values: "Token", "Public"', id="access"
    ),
    pytest.param(
        CIRCLE | {"startupTimeoutSeconds": 0}, "greater than or equal to 1", id="no-startup-time"
    ),
    pytest.param(
        CIRCLE | {"activeDeadlineSeconds": 604_801}, "less than or equal to 604800", id="deadline"
    ),
    pytest.param(
        CIRCLE | {"restartPolicy": "Always"}, 'supported values: "Never"', id="restart-policy"
    ),
    pytest.param(CIRCLE | {"poolRef": {}}, "spec.poolRef.name: Required value", id="pool"),
    pytest.param(CIRCLE | {"poolRef": {"name": "A"}}, "spec.poolRef.name", id="pool-name"),
    # Attempts at a pod with more than a session's rights.
    pytest.param(
        with_pod(serviceAccountName="default"),
        'unknown field "spec.pod.serviceAccountName"',
        id="service-account",
    ),
    pytest.param(with_pod(hostNetwork=True), 'unknown field "spec.pod.hostNetwork"', id="host-net"),
    pytest.param(with_pod(hostPID=True), 'unknown field "spec.pod.hostPID"', id="host-pid"),
    pytest.param(
        with_pod(volumes=[{"name": "root", "hostPath": {"path": "/"}}]),
        'unknown field "spec.pod.volumes"',
        id="host-path",
    ),
    pytest.param(
        with_pod(containers=[{"name": "a", "image": "b", "securityContext": {"privileged": True}}]),
        'unknown field "spec.pod.containers"',
        id="privileged-container",
    ),
    pytest.param(
        with_pod(securityContext={"runAsUser": 0}),
        'unknown field "spec.pod.securityContext"',
        id="root-user",
    ),
    pytest.param(
        with_pod(automountServiceAccountToken=True),
        'unknown field "spec.pod.automountServiceAccountToken"',
        id="api-token",
    ),
    pytest.param(with_pod(nodeName="node-1"), 'unknown field "spec.pod.nodeName"', id="node-name"),
    pytest.param(
        with_pod(labels={"app.kubernetes.io/component": "router"}),
        "spec.pod.labels must not use keys of podstream.dev, kubernetes.io",
        id="label-of-the-router",
    ),
    pytest.param(
        with_pod(labels={"podstream.dev/role": "client"}),
        "spec.pod.labels must not use keys",
        id="label-of-podstream",
    ),
    pytest.param(
        with_pod(annotations={"k8s.v1.cni.cncf.io/networks": "host"}),
        "spec.pod.annotations must not use keys",
        id="annotation-second-network",
    ),
    pytest.param(
        with_pod(annotations={"container.apparmor.security.beta.kubernetes.io/session": "x"}),
        "spec.pod.annotations must not use keys",
        id="annotation-apparmor",
    ),
    pytest.param(
        with_pod(annotations={"io.kubernetes.cri-o.Devices": "/dev/kmsg"}),
        "spec.pod.annotations must not use keys",
        id="annotation-devices",
    ),
    pytest.param(
        with_pod(priorityClassName="system-node-critical"),
        "must not name a system class",
        id="system-priority",
    ),
    pytest.param(
        with_pod(resources={"limits": {"memory": "lots"}}),
        "spec.pod.resources.limits.memory",
        id="quantity",
    ),
    pytest.param(
        with_pod(resources={"claims": [{"name": "gpu"}]}),
        'unknown field "spec.pod.resources.claims"',
        id="resource-claim",
    ),
    pytest.param(
        with_pod(tolerations=[{"key": "a", "operator": "Exists", "value": "b"}]),
        "takes no value; remove value",
        id="toleration",
    ),
    pytest.param(
        with_pod(affinity={"nodeAffinity": {"always": []}}),
        'unknown field "spec.pod.affinity.nodeAffinity.always"',
        id="affinity-member",
    ),
    pytest.param(
        with_pod(topologySpreadConstraints=[{"maxSkew": 0, "topologyKey": "a"}]),
        "whenUnsatisfiable: Required value",
        id="spread",
    ),
    pytest.param(
        with_pod(nodeSelector={f"k{index}": "v" for index in range(17)}),
        "must have at most 16 items",
        id="too-many-labels",
    ),
]


@pytest.mark.parametrize(("spec", "reason"), REFUSED)
def test_session_is_refused_with_the_reason(
    namespace: str, spec: dict[str, Any], reason: str
) -> None:
    answer = submit(session(spec), namespace=namespace)
    assert not answer.accepted
    assert reason in answer.text


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        pytest.param("a" * 46, "use at most 45 characters", id="too-long"),
        pytest.param("a.b", "metadata.name must be a DNS label", id="dots"),
        pytest.param("Ball", "Invalid value", id="upper-case"),
    ],
)
def test_name_is_refused_with_the_reason(namespace: str, name: str, reason: str) -> None:
    answer = submit(session(CIRCLE, name=name), namespace=namespace)
    assert not answer.accepted
    assert reason in answer.text


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param(CIRCLE, id="every-default"),
        pytest.param(with_circle(ball={"radius": 239}), id="largest-ball"),
        pytest.param(
            CIRCLE | {"access": {"mode": "Public"}, "listeners": ["signalling"]}, id="listener"
        ),
        pytest.param(CIRCLE | {"client": {"builtIn": True}}, id="built-in-client"),
        pytest.param(
            with_circle(source="Stream", ball={"radius": 400}) | {"stream": {}},
            id="circle-of-a-stream",
        ),
        pytest.param(
            {"stream": {}, "imageOps": {"stream": {"operations": ["turn=1", "gray"]}}},
            id="image-operations-on-a-stream",
        ),
        pytest.param(
            {
                "stream": {},
                "tracking": {"camera": {"id": "gate", "source": {"type": "Stream"}}},
            },
            id="camera-of-a-stream",
        ),
        pytest.param(
            with_pod(
                resources={"requests": {"cpu": 1}, "limits": {"memory": "1.5Gi", "x.org/gpu": "1"}},
                nodeSelector={"kubernetes.io/arch": "amd64"},
                tolerations=[{"key": "a", "operator": "Exists", "effect": "NoSchedule"}],
                topologySpreadConstraints=[
                    {
                        "maxSkew": 1,
                        "topologyKey": "topology.kubernetes.io/zone",
                        "whenUnsatisfiable": "ScheduleAnyway",
                        "labelSelector": {"matchLabels": {"podstream.dev/role": "session"}},
                    }
                ],
                affinity={
                    "podAntiAffinity": {
                        "preferredDuringSchedulingIgnoredDuringExecution": [
                            {
                                "weight": 1,
                                "podAffinityTerm": {
                                    "topologyKey": "kubernetes.io/hostname",
                                    "labelSelector": {"matchLabels": {"a": "b"}},
                                },
                            }
                        ]
                    }
                },
                labels={"team": "media", "example.org/cost": "1"},
                annotations={"example.org/note": "a note"},
                priorityClassName="batch",
                imagePullSecrets=[{"name": "registry"}],
            ),
            id="every-pod-setting",
        ),
    ],
)
def test_session_is_accepted(namespace: str, spec: dict[str, Any]) -> None:
    answer = submit(session(spec, name="a" * 45), namespace=namespace)
    assert answer.accepted, answer.text


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_sample_is_accepted(namespace: str, path: Any) -> None:
    answer = submit(yaml.safe_load(path.read_text()), namespace=namespace)
    assert answer.accepted, answer.text


def test_unknown_pod_settings_never_reach_the_stored_object(namespace: str) -> None:
    """A client that switches field validation off gets them pruned, not passed on."""
    attempt = session(with_pod(hostNetwork=True, serviceAccountName="admin", labels={"a": "b"}))
    answer = submit(attempt, namespace=namespace, validate="ignore")
    assert answer.accepted, answer.text
    assert json.loads(answer.text)["spec"]["pod"] == {"labels": {"a": "b"}}


def test_status_cannot_be_set_with_the_session(namespace: str) -> None:
    attempt = session(CIRCLE) | {"status": {"phase": "Completed"}}
    answer = submit(attempt, namespace=namespace)
    assert answer.accepted, answer.text
    assert "status" not in json.loads(answer.text)
