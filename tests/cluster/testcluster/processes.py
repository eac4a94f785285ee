"""Finds, starts and ends the cluster's processes, and never anyone else's.

A pid alone is no proof: it may have been given to another program since. A pid file therefore
holds the process's start time too, and a sweep goes by namespaces and control groups.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from testcluster.command import SYSTEM_PATH
from testcluster.errors import ClusterError

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Daemon:
    """One long-running program: where it runs, and its pid file and log."""

    name: str
    argv: tuple[str, ...]
    netns: Path
    run: Path
    log: Path
    mntns: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def pid_file(self) -> Path:
        """Holds pid and start time."""
        return self.run / f"{self.name}.pid"

    @property
    def log_file(self) -> Path:
        """Holds what it wrote to standard output and error."""
        return self.log / f"{self.name}.log"


def start(daemon: Daemon) -> subprocess.Popen[bytes] | None:
    """Start a daemon in its namespaces and in a session of its own, unless it runs already.

    Returns:
        The child, for a caller that outlives it and has to reap it; None where it ran already.
    """
    if running_pid(daemon.pid_file) is not None:
        return None
    argv = ["nsenter", f"--net={daemon.netns}"]
    if daemon.mntns is not None:
        argv.append(f"--mount={daemon.mntns}")
    argv += ["--", *daemon.argv]
    daemon.log.mkdir(parents=True, exist_ok=True)
    # A small environment of our own: a proxy setting of the caller would break the components.
    environment = {"PATH": SYSTEM_PATH, "HOME": "/root", "LANG": "C.UTF-8", **daemon.environment}
    with daemon.log_file.open("ab") as log:
        process = subprocess.Popen(
            argv,
            cwd="/",
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    daemon.pid_file.write_text(f"{process.pid} {start_time(process.pid) or 0}\n")
    return process


def check_alive(daemons: Iterable[Daemon]) -> None:
    """Raise ClusterError with its last words if one of the daemons is gone."""
    for daemon in daemons:
        if running_pid(daemon.pid_file) is None:
            lines = daemon.log_file.read_text(errors="replace").splitlines()[-12:]
            raise ClusterError(
                f"{daemon.name} ended. Its last words:\n" + "\n".join(lines),
                fix=f"The whole log is {daemon.log_file}.",
            )


def running_pid(pid_file: Path) -> int | None:
    """Return the pid in a pid file if that very process still lives."""
    try:
        pid, started = (int(word) for word in pid_file.read_text().split())
    except (FileNotFoundError, ValueError):
        return None
    return pid if start_time(pid) == started else None


def start_time(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot; None if it is gone or a zombie."""
    try:
        # The name, in brackets, may hold spaces and brackets itself.
        words = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if words[0] in ("Z", "X") else int(words[19])


def members(*, namespaces: Iterable[Path], cgroups: Iterable[str]) -> set[int]:
    """Return every process in one of the namespaces (files) or below one of the control groups.

    This process and its ancestors are left out.
    """
    marks = set()
    for path in namespaces:
        try:
            found = path.stat()
        except OSError:
            continue
        marks.add((found.st_dev, found.st_ino))
    tops = tuple(f"/{name}" for name in cgroups)
    own = _ancestry()
    pids = (int(entry) for entry in os.listdir(_PROC) if entry.isdigit())
    return {pid for pid in pids if pid not in own and _belongs(pid, marks=marks, tops=tops)}


def kill_all(find: Callable[[], set[int]], *, timeout_s: float = 20) -> None:
    """Send SIGKILL to what ``find`` returns until it returns nothing.

    Raises:
        ClusterError: something outlived ``timeout_s`` (in uninterruptible sleep, as a rule).
    """
    deadline = time.monotonic() + timeout_s
    while pids := find():
        for pid in pids:
            _kill(pid)
        if time.monotonic() > deadline:
            listed = ", ".join(map(str, sorted(pids)))
            raise ClusterError(
                f"These processes do not die: {listed}.",
                fix="See what they wait for in /proc/PID/stack, then run the command again.",
            )
        time.sleep(0.02)


def stop(pid_file: Path, *, timeout_s: float = 5) -> None:
    """End one daemon: SIGTERM, then SIGKILL after ``timeout_s``; remove its pid file."""
    pid = running_pid(pid_file)
    if pid is not None:
        _kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + timeout_s
        while running_pid(pid_file) is not None and time.monotonic() < deadline:
            time.sleep(0.02)
        kill_all(lambda: {pid} if running_pid(pid_file) is not None else set())
    pid_file.unlink(missing_ok=True)


def _kill(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _belongs(pid: int, *, marks: set[tuple[int, int]], tops: tuple[str, ...]) -> bool:
    folder = _PROC / str(pid)
    if start_time(pid) is None:
        return False
    try:
        for kind in ("net", "mnt"):
            found = (folder / "ns" / kind).stat()
            if (found.st_dev, found.st_ino) in marks:
                return True
        groups = [line.split(":", 2)[2] for line in (folder / "cgroup").read_text().splitlines()]
    except OSError:
        return False
    return any(group == top or group.startswith(f"{top}/") for group in groups for top in tops)


def _ancestry() -> set[int]:
    pids, pid = set(), os.getpid()
    while pid > 0:
        pids.add(pid)
        try:
            pid = int((_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            break
    return pids
