"""Pools in tests: made with a unique name, watched, and connected to as a client would."""

import json
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from e2e import kube
from e2e.sessions import CLIENT, Session, circle

SMALL: dict[str, Any] = {"resources": {"requests": {"cpu": "20m", "memory": "64Mi"}}}


@dataclass(frozen=True)
class Pool:
    """A StreamPool on the cluster."""

    name: str

    @property
    def status(self) -> dict[str, Any]:
        found = kube.get("strp", self.name)
        assert found is not None, f"pool {self.name} does not exist"
        status: dict[str, Any] = found.get("status", {})
        return status

    def condition(self, kind: str) -> dict[str, Any]:
        for condition in self.status.get("conditions", []):
            if condition["type"] == kind:
                found: dict[str, Any] = condition
                return found
        return {}

    def pods(self) -> list[dict[str, Any]]:
        """Pods that wait."""
        selector = f"podstream.dev/pool={self.name},!podstream.dev/session"
        return [
            pod
            for pod in kube.items("pods", selector=selector)
            if "deletionTimestamp" not in pod["metadata"]
        ]

    def wait(self, *, timeout_s: float = 60, **counts: int) -> None:
        kube.until(
            lambda: {name: self.status.get(name) for name in counts} == counts,
            what=f"pool {self.name} with {counts}",
            timeout_s=timeout_s,
        )

    def filled(self, count: int, *, timeout_s: float = 60) -> None:
        """Wait until so many pods are idle and the kubelet, too, has found them ready.

        An agent takes a session up to two seconds earlier; who gets its pod then has waited for it.
        """
        self.wait(warm=count, timeout_s=timeout_s)
        kube.until(
            lambda: sum(_is_ready(pod) for pod in self.pods()) >= count,
            what=f"{count} ready pods of pool {self.name}",
            timeout_s=timeout_s,
        )

    def patch(self, spec: dict[str, Any]) -> None:
        body = json.dumps({"spec": spec})
        kube.kubectl("patch", "strp", self.name, "--type=merge", f"--patch={body}")

    def sessions(self) -> list[Session]:
        """Sessions that connections have made."""
        found = kube.items("strs", selector=f"podstream.dev/pool={self.name}")
        return [Session(item["metadata"]["name"]) for item in found]

    def endpoint(self) -> str:
        """WHEP URL from outside the cluster."""
        (found,) = [item for item in self.status["endpoints"] if item["protocol"] == "WHEP"]
        url: str = found["url"]
        return url

    @contextmanager
    def playing(self, *arguments: str) -> "Iterator[subprocess.Popen[str]]":
        """The headless client as a process of this machine; ended on leaving."""
        client = subprocess.Popen(
            [CLIENT, "--url", self.endpoint(), "--json", *arguments],
            env={"PATH": "/usr/bin:/bin"},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        with client:
            try:
                yield client
            finally:
                if client.poll() is None:
                    client.terminate()
                    client.communicate(timeout=20)


@contextmanager
def pool(**spec: Any) -> Iterator[Pool]:
    """Apply a pool; delete it, and the sessions of its connections, on leaving."""
    made = Pool(f"p-{secrets.token_hex(3)}")
    template = {"circle": circle(frames=0), "access": {"mode": "Public"}, "pod": SMALL}
    template |= spec.pop("template", {})
    kube.apply(
        {
            "apiVersion": "podstream.dev/v1alpha1",
            "kind": "StreamPool",
            "metadata": {"name": made.name},
            "spec": {"template": {"spec": template}, **spec},
        }
    )
    try:
        yield made
    finally:
        kube.delete("strp", made.name)
        kube.kubectl("delete", "strs", "-l", f"podstream.dev/pool={made.name}")


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)
