"""The processes of podstream's own pods, as this machine sees them."""

from pathlib import Path

import pytest

from load.site import kubectl

_PROC = Path("/proc")


def main_pid(component: str) -> int:
    """The process id of a component's only pod; skips the test where it runs on another machine.

    A container's processes are visible from the machine that the node runs on; the kubelet puts
    the pod's UID into the name of their control group, with `_` for `-` where systemd names it.
    """
    selector = f"app.kubernetes.io/component={component}"
    uid = kubectl("get", "pods", "-l", selector, "-o", "jsonpath={.items[0].metadata.uid}")
    marks = (f"pod{uid}", f"pod{uid.replace('-', '_')}")
    for folder in _PROC.glob("[0-9]*"):
        try:
            groups = (folder / "cgroup").read_text()
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if any(mark in groups for mark in marks) and b"podstream" in command:
            return int(folder.name)
    pytest.skip(f"the {component}'s process is not on this machine")
