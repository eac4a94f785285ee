"""The installation that load is put on: the cluster of the environment, with the chart in it."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

NAMESPACE: Final = "podstream"
_ADVERTISED: Final = (
    '{.spec.template.spec.containers[0].env[?(@.name=="PODSTREAM_MEDIA_ADVERTISE")].value}'
)


@dataclass(frozen=True)
class Site:
    """Where things are; `make cluster-env` prints the environment that leads there."""

    kubeconfig: Path
    router_url: str
    """The router as clients outside the cluster reach it."""
    audit_log: Path | None
    """The API server's audit log, where it can be read from here."""

    @classmethod
    def from_env(cls) -> Self:
        """Read the environment; exits with the reason where there is no installation."""
        try:
            kubectl("rollout", "status", "deploy", "--timeout=60s")
            url = _operator_variable("PODSTREAM_EXTERNAL_URL")
        except (OSError, subprocess.CalledProcessError) as error:
            words = getattr(error, "stderr", "") or str(error)
            sys.exit(f"no podstream on the cluster of $KUBECONFIG: {words.strip()}")
        audit = os.environ.get("PODSTREAM_AUDIT_LOG")
        return cls(
            kubeconfig=Path(os.environ["KUBECONFIG"]),
            router_url=url,
            audit_log=Path(audit) if audit else None,
        )

    def whep_url(self, session: str) -> str:
        """Where a session is played."""
        return f"{self.router_url}/s/{NAMESPACE}/{session}/whep"


def kubectl(*arguments: str) -> str:
    """Output of kubectl in podstream's namespace. Raises subprocess.CalledProcessError."""
    done = subprocess.run(
        ["kubectl", "-n", NAMESPACE, *arguments],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.stdout


def signalling_address() -> tuple[str, int]:
    """The signalling listener as clients outside the cluster reach it."""
    return _split(_operator_variable("PODSTREAM_SIGNALLING_ADDRESS"))


def media_address() -> tuple[str, int]:
    """The media port as clients outside the cluster reach it."""
    text = kubectl("get", "deploy", "podstream-router", "-o", f"jsonpath={_ADVERTISED}")
    return _split(json.loads(text)[0])


def _operator_variable(name: str) -> str:
    path = f'{{.spec.template.spec.containers[0].env[?(@.name=="{name}")].value}}'
    return kubectl("get", "deploy", "podstream-operator", "-o", f"jsonpath={path}")


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)
