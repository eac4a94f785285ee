"""Locks between runs of this tool, and atomic publishing of what took long to make."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testcluster.console import say


@contextmanager
def locked(path: Path, *, doing: str) -> Iterator[None]:
    """Hold ``path``'s lock; wait for another run and say so. A killed run's lock is free again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"  waiting: another run is {doing} ({path})")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def shared(path: Path) -> Iterator[None]:
    """Hold ``path``'s lock together with others that share it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


@contextmanager
def alone(path: Path) -> Iterator[bool]:
    """Whether nobody else holds ``path``'s lock, which is then held; never waits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


@contextmanager
def published(target: Path) -> Iterator[Path]:
    """Give an empty folder to fill; it becomes ``target`` only if the body succeeds.

    Hold a lock around it. What an interrupted run left half-made is removed first.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.making")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    try:
        yield draft
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    os.replace(draft, target)


def prune(folder: Path, *, pattern: str, keep: int = 3) -> None:
    """Remove all but the newest ``keep`` entries that earlier versions of a recipe have made."""
    made = sorted(folder.glob(pattern), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in made[keep:]:
        shutil.rmtree(path, ignore_errors=True)
