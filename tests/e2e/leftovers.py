"""What a fault must not leave behind: pods and Secrets that belong to nobody, and too many pods."""

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from e2e import kube

_ROLE = "podstream.dev/role"
_MANAGED = "app.kubernetes.io/managed-by=podstream-operator"


def orphans() -> list[str]:
    """Session and client pods and access Secrets whose session or pool does not exist (any more).

    Pods that are being deleted by a deadline count as well: what is left for ever is in here.
    """
    owners = {item["metadata"]["uid"] for kind in ("strs", "strp") for item in kube.items(kind)}
    found = [("pod", item) for item in kube.items("pods", selector=_ROLE)]
    found += [("secret", item) for item in kube.items("secrets", selector=_MANAGED)]
    return [
        f"{kind}/{item['metadata']['name']}"
        for kind, item in found
        if _controller(item).get("uid") not in owners
    ]


def _controller(item: dict[str, Any]) -> dict[str, Any]:
    for reference in item["metadata"].get("ownerReferences", []):
        if reference.get("controller"):
            owner: dict[str, Any] = reference
            return owner
    return {}


def wait_for_no_orphans(*, timeout_s: float = 90) -> None:
    """Every pod and Secret of podstream has a session or pool that lives, within a time."""
    kube.until(lambda: not orphans(), what=f"no orphans beside {orphans()}", timeout_s=timeout_s)


class Births:
    """Counts the pods that come under a label, from a watch: also those that are gone at once."""

    def __init__(self, selector: str) -> None:
        command = ["kubectl", "-n", kube.NAMESPACE, "get", "pods", "-l", selector, "--watch"]
        self._process = subprocess.Popen(
            [*command, "-o", 'jsonpath={.metadata.uid}{"\\n"}'],
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._uids: set[str] = set()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._uids.add(line.strip())

    @property
    def count(self) -> int:
        """Distinct pods so far, those that were there at the beginning among them."""
        return len(self._uids)

    def end(self) -> None:
        self._process.terminate()
        self._process.wait(10)
        self._reader.join(10)
        assert self._process.stdout is not None
        self._process.stdout.close()


@contextmanager
def births(selector: str) -> Iterator[Births]:
    """Count the pods that come while the block runs."""
    counter = Births(selector)
    try:
        yield counter
    finally:
        counter.end()
