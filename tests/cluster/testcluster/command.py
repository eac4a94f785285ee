"""Run other programs and wait for conditions; failures name the program and its last words."""

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from testcluster.errors import ClusterError

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_LAST_LINES = 15


def run(
    argv: Sequence[str | Path],
    *,
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    check: bool = True,
    fix: str = "",
    timeout_s: float = 600,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and return what it wrote.

    Raises:
        ClusterError: the program is missing, took longer than ``timeout_s``, or failed while
            ``check`` is set; carries the end of its output and ``fix``.
    """
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(
            words,
            input=stdin,
            env=None if env is None else dict(env),
            cwd=cwd,
            text=True,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
    except FileNotFoundError as exc:
        raise ClusterError(f"{words[0]} is not installed.", fix=fix) from exc
    except subprocess.TimeoutExpired as exc:
        raise ClusterError(f"`{_short(words)}` took longer than {timeout_s:g} s.", fix=fix) from exc
    if check and done.returncode != 0:
        output = "\n".join((done.stdout + done.stderr).strip().splitlines()[-_LAST_LINES:])
        raise ClusterError(f"`{_short(words)}` failed ({done.returncode}):\n{output}", fix=fix)
    return done


def wait_until(
    condition: Callable[[], bool],
    *,
    what: str,
    timeout_s: float,
    alive: Callable[[], None] = lambda: None,
    interval_s: float = 0.1,
) -> None:
    """Wait until ``condition`` holds; ``alive`` runs before each try and may raise.

    Raises:
        ClusterError: it did not hold within ``timeout_s``.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        alive()
        if condition():
            return
        if time.monotonic() > deadline:
            raise ClusterError(
                f"Waited {timeout_s:g} s in vain for: {what}.",
                fix="Look at `testcluster status` and `testcluster logs`.",
            )
        time.sleep(interval_s)


def write_if_changed(path: Path, text: str, *, mode: int = 0o644) -> bool:
    """Write ``text`` atomically unless the file already holds it; say whether it was written.

    kube-proxy exits when its configuration file is rewritten, even with equal content.
    """
    try:
        if path.read_text() == text:
            return False
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    new.replace(path)
    return True


def _short(words: Sequence[str]) -> str:
    line = " ".join(words)
    return line if len(line) <= 160 else f"{line[:157]}…"
