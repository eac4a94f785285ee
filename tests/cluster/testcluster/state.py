"""What a running cluster remembers about itself."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from testcluster.instance import Instance


@dataclass(frozen=True, slots=True)
class State:
    """Written once everything runs; its absence beside running daemons means a failed start."""

    nodes: int
    binaries: str
    boot_id: str


def boot_id() -> str:
    """Return an id that changes with every start of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def save(instance: Instance, *, nodes: int, binaries: Path) -> None:
    """Record that the cluster is up."""
    state = State(nodes=nodes, binaries=str(binaries), boot_id=boot_id())
    _file(instance).write_text(json.dumps(asdict(state)))


def load(instance: Instance) -> State | None:
    """Return the record of a cluster that came up since the machine started, else None."""
    try:
        state = State(**json.loads(_file(instance).read_text()))
    except (FileNotFoundError, json.JSONDecodeError, TypeError):
        return None
    return state if state.boot_id == boot_id() else None


def forget(instance: Instance) -> None:
    """Remove the record, first thing of a teardown."""
    _file(instance).unlink(missing_ok=True)


def _file(instance: Instance) -> Path:
    return instance.run / "state.json"
