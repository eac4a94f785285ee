"""Five replicas of the original client's Deployment, each with a server pod of its own.

The Deployment finds its server as in the original: by the variables that Kubernetes sets for the
Service `server-signal-service`, whose name it gets in `SERVER_SERVICE_NAME`.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from e2e import kube
from e2e.pools import SMALL, pool
from e2e.sessions import circle

REPLICAS = 5
_PROGRAM = Path(__file__).with_name("stock_client.py")
_NAME = "original-client"


def _image() -> str:
    """The session image has the libraries that the client imports."""
    operator = kube.get("deploy", "podstream-operator")
    assert operator is not None
    (container,) = operator["spec"]["template"]["spec"]["containers"]
    env = {item["name"]: item.get("value", "") for item in container["env"]}
    return str(env["PODSTREAM_SESSION_IMAGE"])


def _deployment() -> dict[str, Any]:
    container = {
        "name": "client",
        "image": _image(),
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "/client/client.py", "--estimates", "20"],
        "env": [{"name": "SERVER_SERVICE_NAME", "value": "SERVER_SIGNAL_SERVICE"}],
        "resources": {"requests": {"cpu": "20m"}, "limits": {"memory": "512Mi"}},
        "volumeMounts": [{"name": "client", "mountPath": "/client"}],
    }
    labels = {"app": _NAME}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": _NAME},
        "spec": {
            "replicas": REPLICAS,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "containers": [container],
                    "volumes": [{"name": "client", "configMap": {"name": _NAME}}],
                },
            },
        },
    }


@contextmanager
def _clients() -> Iterator[None]:
    program = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": _NAME},
        "data": {"client.py": _PROGRAM.read_text()},
    }
    kube.apply(program)
    kube.apply(_deployment())
    try:
        yield
    finally:
        kube.delete("deploy", _NAME)
        kube.delete("configmap", _NAME)


def test_every_replica_gets_a_pod_of_its_own() -> None:
    template = {
        "circle": circle(
            frames=0, fps=10, codec="VP8", ball={"motion": "Fixed", "color": "#00ff00"}
        ),
        "access": {"mode": "Public"},
        "reconnectSeconds": 0,
        "pod": SMALL,
    }
    with pool(warm=2, max=8, listeners=["signalling"], template=template) as made:
        made.wait(warm=2)
        seen: dict[str, dict[str, Any]] = {}

        def scored() -> bool:
            """Whether so many sessions, that were open at one time or another, have estimates."""
            for item in kube.items("strs", selector=f"podstream.dev/pool={made.name}"):
                status = item.get("status", {})
                circle_results = ((status.get("results") or {}).get("circle")) or {}
                if circle_results.get("framesScored", 0) >= 20:
                    seen[item["metadata"]["name"]] = status
            return len(seen) >= REPLICAS

        with _clients():
            kube.until(scored, what=f"{REPLICAS} sessions with estimates", timeout_s=150)
        pods = {status["pod"]["uid"] for status in seen.values()}
        assert len(pods) == len(seen), json.dumps(seen)
        assert {status["connection"]["protocol"] for status in seen.values()} == {"Signalling"}
        # Balls of one law of motion: each session is scored against its own and fits.
        assert all(status["results"]["circle"]["rmsePx"] < 5 for status in seen.values())
        kube.kubectl("delete", "strs", "-l", f"podstream.dev/pool={made.name}", "--wait=false")
