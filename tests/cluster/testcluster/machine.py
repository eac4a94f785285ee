"""Machine-wide settings that a cluster changes: recorded by the first, put back by the last."""

import json
import shutil
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from testcluster.command import run
from testcluster.instance import Instance
from testcluster.locks import locked
from testcluster.nodes import is_mounted

_RECORD = Path("/run/podstream-machine.json")
_LOCK = Path("/run/lock/podstream-machine.lock")
_FELIX_FOLDER = Path("/var/lib/calico")
_NETNS_FOLDER = Path("/run/netns")

INOTIFY = "fs.inotify.max_user_instances"
INOTIFY_INSTANCES = 1024
"""128, a common default, is too few for the kubelet, containerd and their watchers."""

# The kubelet writes the last three for the whole machine.
SETTINGS = (INOTIFY, "vm.overcommit_memory", "kernel.panic", "kernel.panic_on_oops")


@dataclass(frozen=True, slots=True)
class Record:
    """Which instances use the machine, and how it was before the first of them."""

    users: list[str] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)
    had_felix_folder: bool = False
    had_netns_mount: bool = False


def claim(instance: Instance) -> None:
    """Record the machine's settings unless another cluster did, and raise inotify's limit."""
    with locked(_LOCK, doing="recording the machine's settings"):
        record = _read()
        if not record.users:
            record = Record(
                settings={name: _read_setting(name) for name in SETTINGS},
                had_felix_folder=_FELIX_FOLDER.exists(),
                had_netns_mount=is_mounted(_NETNS_FOLDER),
            )
        _write(replace(record, users=sorted({*record.users, instance.letter})))
        if int(_read_setting(INOTIFY)) < INOTIFY_INSTANCES:
            _write_setting(INOTIFY, str(INOTIFY_INSTANCES))


def release(instance: Instance) -> None:
    """Put everything back if this was the last cluster; do nothing if it never claimed."""
    with locked(_LOCK, doing="restoring the machine's settings"):
        record = _read()
        if instance.letter not in record.users:
            return
        users = [letter for letter in record.users if letter != instance.letter]
        if users:
            _write(replace(record, users=users))
            return
        for name, value in record.settings.items():
            _write_setting(name, value)
        if not record.had_felix_folder:
            shutil.rmtree(_FELIX_FOLDER, ignore_errors=True)
        if (
            not record.had_netns_mount
            and _NETNS_FOLDER.is_dir()
            and not any(_NETNS_FOLDER.iterdir())
        ):
            # `ip netns add` mounts the folder on itself the first time, and never takes it back.
            while is_mounted(_NETNS_FOLDER):
                run(["umount", _NETNS_FOLDER])
        _RECORD.unlink()


def _read() -> Record:
    try:
        return Record(**json.loads(_RECORD.read_text()))
    except (FileNotFoundError, json.JSONDecodeError, TypeError):
        return Record()


def _write(record: Record) -> None:
    _RECORD.write_text(json.dumps(asdict(record)))


def _setting_file(name: str) -> Path:
    return Path("/proc/sys", *name.split("."))


def _read_setting(name: str) -> str:
    return _setting_file(name).read_text().strip()


def _write_setting(name: str, value: str) -> None:
    if _read_setting(name) != value:
        _setting_file(name).write_text(f"{value}\n")
