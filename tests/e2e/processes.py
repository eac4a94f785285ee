"""Processes of pods as the machine that runs the cluster sees them."""

from pathlib import Path


def processes_of_pod(uid: str) -> list[int]:
    """Ids, on this machine, of a pod's processes; process 1 of the pod comes first.

    Pods of podstream know their UID from their environment. Empty where the cluster is elsewhere.
    """
    return _with_variable(f"POD_UID={uid}")


def processes_of_named_pod(name: str) -> list[int]:
    """The same for operator and router, which know their pod's name."""
    return _with_variable(f"POD_NAME={name}")


def _with_variable(setting: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            environment = (entry / "environ").read_bytes()
        except OSError:
            continue
        if setting.encode() in environment.split(b"\0"):
            found.append(int(entry.name))
    return sorted(found)
