"""What a session pod can reach and who can reach it (needs an enforcing network plugin)."""

import json
import os
import secrets
from collections.abc import Iterator

import pytest

from e2e import kube
from e2e.sessions import Session, circle, names, session

pytestmark = pytest.mark.skipif(
    os.environ.get("CLUSTER") == "kind", reason="KIND's test kit enforces no NetworkPolicy"
)

_TRY = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=3).close()
    print("open")
except OSError as error:
    print("closed", error)
"""


@pytest.fixture(scope="module")
def ready() -> Iterator[Session]:
    spec = {"circle": circle(frames=0), "idleTimeoutSeconds": 600}
    with session(spec, prefix="net") as made:
        made.wait_phase("Ready")
        yield made


def _dial(pod: str, host: str, port: int, *, namespace: str = kube.NAMESPACE) -> str:
    command = ["exec", pod, "--", "python", "-c", _TRY, host, str(port)]
    return kube.kubectl(*command, namespace=namespace).strip()


def _cluster_ip(service: str, namespace: str) -> str:
    found = kube.get("service", service, namespace=namespace)
    assert found is not None
    address: str = found["spec"]["clusterIP"]
    return address


def test_session_pod_reaches_nothing(ready: Session) -> None:
    (pod,) = names(ready.pods())
    api = _cluster_ip("kubernetes", "default")
    router = _cluster_ip("podstream-router", kube.NAMESPACE)
    (operator,) = {
        item["status"]["podIP"]
        for item in kube.items("pods", selector="app.kubernetes.io/component=operator")
    }
    dns = _cluster_ip("kube-dns", "kube-system")
    for host, port in ((api, 443), (router, 8080), (operator, 8081), (dns, 53)):
        assert _dial(pod, host, port).startswith("closed"), f"{host}:{port} is open"


def test_session_pods_cannot_reach_each_other(ready: Session) -> None:
    with session({"circle": circle(frames=0)}, prefix="net") as other:
        other.wait_phase("Ready")
        (pod,) = names(ready.pods())
        address = other.pods()[0]["status"]["podIP"]
        for port in (9440, 9441, 9442):
            assert _dial(pod, address, port).startswith("closed")


def test_pod_of_another_namespace_cannot_reach_a_session_pod(ready: Session) -> None:
    namespace = f"stranger-{secrets.token_hex(3)}"
    image = ready.pods()[0]["spec"]["containers"][0]["image"]
    kube.kubectl("create", "namespace", namespace, namespace=None)
    try:
        kube.apply(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": "stranger"},
                "spec": {
                    "containers": [
                        {
                            "name": "main",
                            "image": image,
                            "imagePullPolicy": "IfNotPresent",
                            "command": ["python", "-c", "import signal; signal.pause()"],
                        }
                    ]
                },
            },
            namespace=namespace,
        )
        kube.kubectl(
            "wait", "pod/stranger", "--for=condition=Ready", "--timeout=60s", namespace=namespace
        )
        address = ready.pods()[0]["status"]["podIP"]
        router = _cluster_ip("podstream-router", kube.NAMESPACE)
        assert _dial("stranger", router, 8080, namespace=namespace) == "open"
        for port in (9440, 9441, 9442):
            assert _dial("stranger", address, port, namespace=namespace).startswith("closed")
    finally:
        kube.kubectl("delete", "namespace", namespace, "--wait=false", namespace=None)


def test_session_pod_is_restricted_and_holds_no_api_token(ready: Session) -> None:
    (pod,) = ready.pods()
    spec = pod["spec"]
    (container,) = spec["containers"]
    assert spec["automountServiceAccountToken"] is False
    assert not spec.get("hostNetwork")
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["capabilities"]["drop"] == ["ALL"]
    assert {"cpu", "memory", "ephemeral-storage"} <= set(container["resources"]["limits"])
    look = "import os; print(os.path.exists('/var/run/secrets/kubernetes.io'), os.getuid())"
    seen = kube.kubectl("exec", pod["metadata"]["name"], "--", "python", "-c", look)
    assert seen.split() == ["False", "65532"]


def test_restricted_namespace_admits_session_pods() -> None:
    labels = json.loads(
        kube.kubectl("get", "namespace", kube.NAMESPACE, "-o", "json", namespace=None)
    )
    name = labels["metadata"]["name"]
    kube.kubectl(
        "label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted", "--overwrite",
        namespace=None,
    )  # fmt: skip
    try:
        with session({"circle": circle(frames=0)}, prefix="psa") as made:
            made.wait_phase("Ready")
    finally:
        kube.kubectl(
            "label", "namespace", name, "pod-security.kubernetes.io/enforce-", namespace=None
        )
