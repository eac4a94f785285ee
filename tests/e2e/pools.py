"""Pools in tests: made with a unique name, watched, and looked at as a user would."""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from e2e import kube
from e2e.sessions import circle

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

    def patch(self, spec: dict[str, Any]) -> None:
        body = json.dumps({"spec": spec})
        kube.kubectl("patch", "strp", self.name, "--type=merge", f"--patch={body}")


@contextmanager
def pool(**spec: Any) -> Iterator[Pool]:
    """Apply a pool; delete it on leaving."""
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
