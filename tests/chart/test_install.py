"""A release's life on the real API server: install, upgrade, uninstall, install again."""

import json
import os
import subprocess
from typing import Any

import pytest

from chart.helm import CHART, helm_binary
from chart.server import kubectl

pytestmark = pytest.mark.e2e

NOWHERE = '{"podstream.dev/no-such-node":"true"}'
"""The pods stay pending: what they do is the end-to-end tests' concern."""


def helm(*arguments: str) -> str:
    done = subprocess.run(
        [helm_binary(), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=dict(os.environ),
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def upgrade(namespace: str) -> None:
    helm(
        "upgrade",
        "--install",
        "keys",
        str(CHART),
        f"--namespace={namespace}",
        '--set-json=router.service.type="ClusterIP"',
        f"--set-json=operator.nodeSelector={NOWHERE}",
        f"--set-json=router.nodeSelector={NOWHERE}",
    )


def read(kind: str, name: str, *, namespace: str) -> dict[str, Any]:
    answer = kubectl("get", kind, name, f"--namespace={namespace}", "--output=json")
    assert answer.accepted, answer.text
    found: dict[str, Any] = json.loads(answer.text)
    return found


def keys(namespace: str) -> dict[str, str]:
    data: dict[str, str] = read("secret", "keys-keys", namespace=namespace)["data"]
    return data


def test_keys_are_made_once_and_kept(namespace: str) -> None:
    """A new key would throw out every client whose token the old one has signed."""
    upgrade(namespace)
    first = keys(namespace)
    assert first.keys() == {"assignment.pem", "client.pem"}

    rotated = {"data": {"client-previous.pem": first["assignment.pem"]}}
    patch = f"--patch={json.dumps(rotated)}"
    answer = kubectl("patch", "secret", "keys-keys", f"--namespace={namespace}", patch)
    assert answer.accepted, answer.text
    upgrade(namespace)
    assert keys(namespace) == first | rotated["data"]

    helm("uninstall", "keys", f"--namespace={namespace}")
    left = kubectl("get", "deployment,service,role,rolebinding", f"--namespace={namespace}").text
    assert "keys-" not in left
    assert keys(namespace) == first | rotated["data"]

    upgrade(namespace)
    assert keys(namespace) == first | rotated["data"]
    helm("uninstall", "keys", f"--namespace={namespace}")


def may(account: str, verb: str, resource: str, *, namespace: str) -> bool:
    """Whether the API server lets an account of the release do something."""
    kind, _, subresource = resource.partition("/")
    release, _, name = account.rpartition(":")
    answer = kubectl(
        "auth",
        "can-i",
        verb,
        kind,
        f"--subresource={subresource}",
        f"--as=system:serviceaccount:{release}:{name}",
        f"--namespace={namespace}",
    )
    return answer.text.split()[-1] == "yes"


def test_parts_may_do_what_they_call_and_no_more(namespace: str) -> None:
    upgrade(namespace)
    try:
        for name, verb, resource, allowed in (
            ("keys-operator", "create", "pods", True),
            ("keys-operator", "patch", "streamsessions.podstream.dev/status", True),
            ("keys-operator", "create", "events.events.k8s.io", True),
            ("keys-operator", "get", "secrets", True),
            ("keys-operator", "list", "secrets", False),
            ("keys-operator", "update", "streamsessions.podstream.dev", False),
            ("keys-operator", "create", "pods/exec", False),
            ("keys-router", "watch", "pods", True),
            ("keys-router", "watch", "streamsessions.podstream.dev", True),
            ("keys-router", "get", "secrets", False),
            ("keys-router", "create", "pods", False),
            ("default", "get", "pods", False),
        ):
            account = f"{namespace}:{name}"
            what = f"{name} {verb} {resource}"
            assert may(account, verb, resource, namespace=namespace) is allowed, what
            assert not may(account, verb, resource, namespace="kube-system"), what
    finally:
        helm("uninstall", "keys", f"--namespace={namespace}")
