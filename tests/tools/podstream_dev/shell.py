"""Running commands: quietly with the cause on failure, or with their output shown."""

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
"""The checkout."""

_STARTED = time.monotonic()


class DevError(Exception):
    """Something a developer can mend; the message says how."""


def say(text: str) -> None:
    """One line of progress on standard error, with the seconds since the start."""
    print(f"[{time.monotonic() - _STARTED:6.1f} s] {text}", file=sys.stderr, flush=True)


def cache_dir() -> Path:
    """Where heavy products are kept, outside the checkout: `$PODSTREAM_CACHE` or its default."""
    if chosen := os.environ.get("PODSTREAM_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "podstream"


@contextmanager
def step(what: str) -> Iterator[None]:
    """Announce a step and say how long it took."""
    say(f"{what} ...")
    begun = time.monotonic()
    yield
    say(f"{what}: done in {time.monotonic() - begun:.1f} s")


def capture(
    command: Sequence[str], *, env: Mapping[str, str] | None = None, stdin: str | None = None
) -> str:
    """Run and return standard output.

    Raises:
        DevError: the command is missing or failed; carries the end of its error output.
    """
    try:
        done = subprocess.run(
            command,
            env=_merged(env),
            cwd=ROOT,
            text=True,
            capture_output=True,
            check=False,
            input=stdin,
        )
    except FileNotFoundError as error:
        raise DevError(f"{command[0]} is not installed or not on PATH") from error
    if done.returncode:
        tail = "\n".join((done.stderr or done.stdout).splitlines()[-15:])
        raise DevError(f"{shlex.join(command)[:300]} failed with status {done.returncode}:\n{tail}")
    return done.stdout


def show(command: Sequence[str], *, env: Mapping[str, str] | None = None) -> None:
    """Run with its output on standard error, so that standard output stays for results.

    Raises:
        DevError: the command is missing or failed.
    """
    try:
        done = subprocess.run(
            command, env=_merged(env), cwd=ROOT, stdout=sys.stderr.fileno(), check=False
        )
    except FileNotFoundError as error:
        raise DevError(f"{command[0]} is not installed or not on PATH") from error
    if done.returncode:
        raise DevError(f"{shlex.join(command)[:300]} failed with status {done.returncode}")


def succeeds(command: Sequence[str], *, env: Mapping[str, str] | None = None) -> bool:
    """Whether a command exists and ends with status 0."""
    try:
        done = subprocess.run(
            command,
            env=_merged(env),
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
    except FileNotFoundError:
        return False
    return done.returncode == 0


def _merged(env: Mapping[str, str] | None) -> dict[str, str]:
    return {**os.environ, **(env or {})}
