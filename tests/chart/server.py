"""kubectl against the real API server, for checks that only it can make."""

import json
import subprocess
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Answer:
    """What kubectl printed, and whether the API server accepted."""

    accepted: bool
    text: str


def kubectl(*arguments: str, stdin: str | None = None) -> Answer:
    """Run kubectl with the kubeconfig of the environment."""
    done = subprocess.run(
        ["kubectl", "--request-timeout=20s", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    text = done.stdout if done.returncode == 0 else done.stderr + done.stdout
    return Answer(accepted=done.returncode == 0, text=text)


def submit(manifest: dict[str, Any], *, namespace: str, validate: str = "strict") -> Answer:
    """Create an object with a server-side dry run: validated, admitted, not stored."""
    return kubectl(
        "create",
        "--namespace",
        namespace,
        "--dry-run=server",
        f"--validate={validate}",
        "--output=json",
        "--filename=-",
        stdin=json.dumps(manifest),
    )


def session(spec: dict[str, Any], *, name: str = "probe") -> dict[str, Any]:
    """A StreamSession."""
    return {
        "apiVersion": "podstream.dev/v1alpha1",
        "kind": "StreamSession",
        "metadata": {"name": name},
        "spec": spec,
    }
