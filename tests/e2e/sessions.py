"""Sessions in tests: made with a unique name, watched, and looked at as a user would."""

import base64
import json
import secrets
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e import kube

CLIENT = str(Path(sys.executable).parent / "podstream-client")


@dataclass(frozen=True)
class Session:
    """A StreamSession on the cluster."""

    name: str

    @property
    def body(self) -> dict[str, Any]:
        found = kube.get("strs", self.name)
        assert found is not None, f"session {self.name} does not exist"
        return found

    @property
    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = self.body.get("status", {})
        return status

    @property
    def phase(self) -> str | None:
        return self.status.get("phase")

    @property
    def circle(self) -> dict[str, Any]:
        results = self.status.get("results") or {}
        circle: dict[str, Any] = results.get("circle") or {}
        return circle

    def condition(self, kind: str) -> dict[str, Any]:
        for condition in self.status.get("conditions", []):
            if condition["type"] == kind:
                found: dict[str, Any] = condition
                return found
        return {}

    def wait_phase(self, *phases: str, timeout_s: float = 90) -> str:
        def reached() -> str | None:
            phase = self.phase
            if phase in ("Completed", "Failed") and phase not in phases:
                raise AssertionError(f"session ended as {phase}: {json.dumps(self.status)}")
            return phase if phase in phases else None

        found = kube.until(reached, what=f"{self.name} in {phases}", timeout_s=timeout_s)
        assert found is not None
        return found

    def endpoint(self, protocol: str = "WHEP") -> str:
        """URL from outside the cluster."""
        for endpoint in self.status.get("endpoints", []):
            if endpoint["protocol"] == protocol:
                url: str = endpoint["url"]
                return url
        raise AssertionError(f"no {protocol} endpoint in {self.status}")

    def token(self) -> str:
        name = self.status["access"]["secretName"]
        secret = kube.get("secret", name)
        assert secret is not None, f"no Secret {name}"
        return base64.b64decode(secret["data"]["token"]).decode()

    def pods(self, role: str = "session") -> list[dict[str, Any]]:
        selector = f"podstream.dev/session={self.name},podstream.dev/role={role}"
        return kube.items("pods", selector=selector)

    def memory(self) -> int:
        """Memory of the session's container, bytes, without the page cache."""
        program = (
            "import glob; print(sum(int(line.split()[1])"
            " for path in glob.glob('/proc/[0-9]*/status')"
            " for line in open(path) if line.startswith(('RssAnon', 'RssShmem'))))"
        )
        name = self.status["pod"]["name"]
        return 1024 * int(kube.kubectl("exec", name, "--", "python", "-c", program))

    def play(
        self, *arguments: str, timeout_s: float = 90, protocol: str = "WHEP"
    ) -> "subprocess.CompletedProcess[str]":
        """Run the project's headless client on this machine until it ends."""
        with self.playing(*arguments, protocol=protocol) as client:
            out, err = client.communicate(timeout=timeout_s)
        return subprocess.CompletedProcess(client.args, client.returncode, out, err)

    @contextmanager
    def playing(self, *arguments: str, protocol: str = "WHEP") -> "Iterator[subprocess.Popen[str]]":
        """The headless client as a process of this machine; ended on leaving."""
        command = [CLIENT, "--url", self.endpoint(protocol), "--json", *arguments]
        environment = {"PODSTREAM_CLIENT_TOKEN": self.token(), "PATH": "/usr/bin:/bin"}
        client = subprocess.Popen(
            command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        with client:
            try:
                yield client
            finally:
                if client.poll() is None:
                    client.terminate()
                    client.communicate(timeout=20)


def manifest(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "podstream.dev/v1alpha1",
        "kind": "StreamSession",
        "metadata": {"name": name},
        "spec": spec,
    }


@contextmanager
def session(spec: dict[str, Any], *, prefix: str = "t") -> Iterator[Session]:
    """Apply a session; delete it on leaving."""
    made = Session(f"{prefix}-{secrets.token_hex(3)}")
    kube.apply(manifest(made.name, spec))
    try:
        yield made
    finally:
        kube.delete("strs", made.name)


def circle(frames: int = 90, **more: Any) -> dict[str, Any]:
    """A small circle workload that two busy cores can carry."""
    return {"width": 320, "height": 240, "fps": 30, "frames": frames, **more}


def names(objects: Sequence[dict[str, Any]]) -> list[str]:
    return [item["metadata"]["name"] for item in objects]
