"""What the demo asks of the cluster, by kubectl."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from podstream_dev import chart
from podstream_dev.shell import DevError, capture, succeeds

_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
_DIAL = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=2).close()
except OSError:
    sys.exit(1)
"""


@dataclass(frozen=True, slots=True)
class Cluster:
    """The chart's namespace; methods raise `DevError` where kubectl does."""

    env: Mapping[str, str]

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl in the namespace."""
        return capture(["kubectl", "-n", chart.NAMESPACE, *arguments], env=self.env, stdin=stdin)

    def apply(self, *objects: Mapping[str, Any]) -> None:
        """`kubectl apply` of them, in this order."""
        items = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.kubectl("apply", "-f", "-", stdin=json.dumps(items))

    def status(self, session: str) -> dict[str, Any]:
        """A session's status; empty before it has one."""
        found = json.loads(self.kubectl("get", "strs", session, "-o", "json"))
        status: dict[str, Any] = found.get("status") or {}
        return status

    def has_default_class(self) -> bool:
        """Whether claims get volumes by themselves."""
        classes = json.loads(self.kubectl("get", "storageclasses", "-o", "json"))["items"]
        notes = [item["metadata"].get("annotations") or {} for item in classes]
        return any(note.get(_DEFAULT_CLASS) == "true" for note in notes)

    def pod_address(self, *, session: str) -> str:
        """Address of the pod of a session."""
        selector = f"podstream.dev/session={session},podstream.dev/role=session"
        (pod,) = json.loads(self.kubectl("get", "pods", "-l", selector, "-o", "json"))["items"]
        address: str = pod["status"]["podIP"]
        return address

    def reaches(self, host: str, port: int, *, pod: str) -> bool:
        """Whether a TCP connection from inside of a running pod is answered within 2 s."""
        command = ["kubectl", "-n", chart.NAMESPACE, "exec", pod, "--", "python", "-c", _DIAL]
        return succeeds([*command, host, str(port)], env=self.env)

    def wait_pods(self, names: Sequence[str], *, phase: str, timeout_s: float) -> None:
        """Wait until all of these pods are in this phase."""
        pods = [f"pod/{name}" for name in names]
        condition = f"--for=jsonpath={{.status.phase}}={phase}"
        self.kubectl("wait", condition, f"--timeout={timeout_s:.0f}s", *pods)

    def wait_phase(self, session: str, *, phase: str, timeout_s: float) -> None:
        """Wait until a session is in this phase.

        Raises:
            DevError: it ended otherwise, or the time is over.
        """
        deadline = time.monotonic() + timeout_s
        while (found := self.status(session)).get("phase") != phase:
            if found.get("phase") in ("Failed", "Completed") or time.monotonic() > deadline:
                raise DevError(
                    f"session {session} is {found.get('phase')}, not {phase}: "
                    f"{found.get('reason')} {found.get('message')}"
                )
            time.sleep(0.3)
