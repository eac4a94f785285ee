"""Processes of pods as the machine that runs the cluster sees them."""

from pathlib import Path


def processes_of_pod(uid: str) -> list[int]:
    """Ids, on this machine, of a pod's processes; process 1 of the pod comes first.

    Pods of podstream know their UID from their environment. Empty where the cluster is elsewhere.
    """
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            environment = (entry / "environ").read_bytes()
        except OSError:
            continue
        if f"POD_UID={uid}".encode() in environment.split(b"\0"):
            found.append(int(entry.name))
    return sorted(found)
