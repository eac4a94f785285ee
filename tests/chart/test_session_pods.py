"""The operator's pods and the chart's policies mean the same pods and the same ports."""

import json
from typing import Any

import pytest

from chart.helm import of_kind, one, render
from chart.server import submit
from podstream_core.api import StreamSession
from podstream_core.tokens import PublicKeys, SigningKey
from podstream_operator.resources import SessionImage, build_client_pod, build_session_pod

IMAGE = SessionImage(
    image="docker.io/podstream/session:0.1.0",
    tracking_image="docker.io/podstream/session-tracking:0.1.0",
    router_url="http://podstream-router.streams.svc:8080",
    pull_policy="IfNotPresent",
    requests={"cpu": "250m", "memory": "256Mi", "ephemeral-storage": "64Mi"},
    limits={"cpu": "2", "memory": "1Gi", "ephemeral-storage": "512Mi"},
    public_keys=PublicKeys.of(SigningKey.generate()).to_jwks(),
    log_level="INFO",
    log_format="json",
)
LONGEST = "a" * 45
KNOBS = {
    "resources": {"limits": {"memory": "2Gi"}},
    "nodeSelector": {"pool": "media"},
    "tolerations": [{"key": "media", "operator": "Exists"}],
    "labels": {"team": "media"},
    "annotations": {"example.org/note": "a note"},
    "imagePullSecrets": [{"name": "registry"}],
}


def build(role: str, *, pod: dict[str, Any] | None = None) -> dict[str, Any]:
    session = StreamSession.from_body(
        {
            "metadata": {"name": LONGEST, "namespace": "streams", "uid": "0-1"},
            "spec": {"circle": {}, "client": {"builtIn": True}, "pod": pod or {}},
        }
    )
    if role == "session":
        return build_session_pod(session, image=IMAGE, restarts=0)
    url = "http://podstream-router.streams.svc:8080/s/streams/a/whep"
    return build_client_pod(session, image=IMAGE, url=url, restarts=0)


every_role = pytest.mark.parametrize("role", ["session", "client"])


@every_role
def test_policy_selects_the_pod(role: str) -> None:
    policy = one(render("default"), "NetworkPolicy", f"podstream-{role}")
    wanted = policy["spec"]["podSelector"]["matchLabels"]
    assert wanted.items() <= build(role)["metadata"]["labels"].items()


@every_role
def test_pod_is_not_taken_for_a_part_of_the_chart(role: str) -> None:
    labels = build(role)["metadata"]["labels"]
    for service in of_kind(render("default"), "Service"):
        assert not service["spec"]["selector"].items() <= labels.items()


def test_policy_opens_the_ports_of_the_pod() -> None:
    (container,) = build("session")["spec"]["containers"]
    ports = {(port["containerPort"], port["protocol"]) for port in container["ports"]}
    policy = one(render("default"), "NetworkPolicy", "podstream-session")
    from_router = policy["spec"]["ingress"][0]["ports"]
    assert ports <= {(port["port"], port["protocol"]) for port in from_router}


@pytest.mark.e2e
@every_role
@pytest.mark.parametrize("knobs", [{}, KNOBS], ids=["plain", "every-knob"])
def test_pod_is_admitted_as_restricted(namespace: str, role: str, knobs: dict[str, Any]) -> None:
    pod = build(role, pod=knobs)
    pod["metadata"]["namespace"] = namespace
    answer = submit(pod, namespace=namespace)
    assert answer.accepted, answer.text
    made = json.loads(answer.text)["spec"]
    assert made["automountServiceAccountToken"] is False
    assert not [volume for volume in made["volumes"] if "projected" in volume]
