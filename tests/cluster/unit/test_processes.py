"""Only the very process that was started is found again and ended."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from testcluster import processes


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def pid_file(folder: Path, *, pid: int, started: int) -> Path:
    path = folder / "daemon.pid"
    path.write_text(f"{pid} {started}\n")
    return path


def test_running_process_is_found(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    started = processes.start_time(sleeper.pid)
    assert started is not None
    path = pid_file(tmp_path, pid=sleeper.pid, started=started)
    assert processes.running_pid(path) == sleeper.pid


def test_reused_pid_is_not_taken_for_the_daemon(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    path = pid_file(tmp_path, pid=sleeper.pid, started=1)
    assert processes.running_pid(path) is None
    processes.stop(path)
    assert sleeper.poll() is None, "a stranger was killed"


def test_dead_and_unwaited_process_counts_as_gone(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    started = processes.start_time(sleeper.pid) or 0
    path = pid_file(tmp_path, pid=sleeper.pid, started=started)
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)  # a zombie now
    assert processes.running_pid(path) is None


@pytest.mark.parametrize("content", ["", "12", "a b", "1 2 3"])
def test_damaged_pid_file_counts_as_gone(tmp_path: Path, content: str) -> None:
    path = tmp_path / "daemon.pid"
    path.write_text(content)
    assert processes.running_pid(path) is None
    assert processes.running_pid(tmp_path / "missing.pid") is None


def test_stop_ends_the_process_and_removes_its_file(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    path = pid_file(tmp_path, pid=sleeper.pid, started=processes.start_time(sleeper.pid) or 0)
    processes.stop(path)
    assert sleeper.wait() != 0
    assert not path.exists()


def test_sweep_leaves_out_this_process_and_its_parents() -> None:
    own = processes.members(namespaces=[Path("/proc/self/ns/net")], cgroups=[])
    assert not own & {os.getpid(), os.getppid()}
