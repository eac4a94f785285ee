"""What a shell needs to use the cluster."""

import shlex
from pathlib import Path

from testcluster.instance import Instance


def export_lines(instance: Instance, *, binaries: Path) -> list[str]:
    """Return lines for ``eval``: kubeconfig, programs first in PATH, the nodes' address.

    ``KIND_LAB_BIN`` lets a kit that builds KIND from source take the same programs.
    """
    values = {
        "KUBECONFIG": str(instance.kubeconfig),
        "PODSTREAM_NODE_IP": instance.api_ip,
        "PODSTREAM_AUDIT_LOG": str(instance.log / "audit.log"),
        "KIND_LAB_BIN": str(binaries),
    }
    lines = [f"export {name}={shlex.quote(value)}" for name, value in values.items()]
    return [*lines, f'export PATH={shlex.quote(str(binaries))}:"$PATH"']
