"""Runs the built kubectl as administrator; another kubectl in PATH is never taken."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testcluster.command import run
from testcluster.instance import Instance


@dataclass(frozen=True, slots=True)
class Kubectl:
    """A kubectl for one cluster."""

    instance: Instance
    binaries: Path

    def __call__(
        self,
        *arguments: str | Path,
        stdin: str | None = None,
        check: bool = True,
        timeout_s: float = 60,
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl. Raises ClusterError if it fails while ``check`` is set."""
        argv = [self.binaries / "kubectl", f"--kubeconfig={self.instance.kubeconfig}", *arguments]
        return run(argv, stdin=stdin, check=check, timeout_s=timeout_s)

    def succeeds(self, *arguments: str) -> bool:
        """Say whether a call succeeds; its output is of no interest."""
        return self(*arguments, check=False).returncode == 0

    def apply(self, manifest: str) -> None:
        """Apply a manifest on the server's side."""
        self("apply", "--server-side", "--force-conflicts", "--filename=-", stdin=manifest)

    def list(self, kind: str, *options: str) -> Sequence[dict[str, Any]]:
        """Return the objects of a kind."""
        items: list[dict[str, Any]] = json.loads(
            self("get", kind, "--output=json", *options).stdout
        )["items"]
        return items
