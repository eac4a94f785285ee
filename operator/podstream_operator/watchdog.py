"""Notices a watch that looks alive and delivers nothing.

A quiet namespace and a dead watch look the same from the watch's side. A list tells them apart:
what it shows, the watch must have shown, too, or must show soon.
"""

from collections.abc import Iterable
from typing import Any, Final

STALLED_AFTER_S: Final = 120.0
"""Longer than kopf needs to notice a dead connection by itself (bookmarks, 70 s)."""

_Stream = tuple[str, str]
"""Kind and namespace."""


class WatchDog:
    """Compares the newest resource versions of lists and watches, per kind and namespace."""

    def __init__(self) -> None:
        self._seen: dict[_Stream, int] = {}
        self._expected: dict[_Stream, list[tuple[int, float]]] = {}

    def watched(self, kind: str, *, body: dict[str, Any]) -> None:
        """A watch (or the list it started with) has delivered an object."""
        metadata = body.get("metadata") or {}
        stream = (kind, metadata.get("namespace", ""))
        version = _version(metadata)
        self._seen[stream] = max(self._seen.get(stream, 0), version)
        self._settle(stream)

    def listed(self, kind: str, *, namespace: str, versions: Iterable[str], now: float) -> None:
        """An own list shows objects of these resource versions."""
        newest = max(map(_number, versions), default=0)
        stream = (kind, namespace)
        waiting = self._expected.setdefault(stream, [])
        # What is gone from the lists, a watch that was interrupted need not show any more.
        waiting[:] = [(version, at) for version, at in waiting if version <= newest]
        if newest > max((version for version, _ in waiting), default=0):
            waiting.append((newest, now))
        self._settle(stream)

    def behind_s(self, *, now: float) -> float:
        """For how long the slowest watch has been missing an object that a list has shown."""
        since = [at for waiting in self._expected.values() for _, at in waiting]
        return now - min(since, default=now)

    def is_stalled(self, *, now: float) -> bool:
        """Whether a watch has to be given up."""
        return self.behind_s(now=now) > STALLED_AFTER_S

    def _settle(self, stream: _Stream) -> None:
        seen = self._seen.get(stream, 0)
        waiting = self._expected.get(stream, [])
        waiting[:] = [(version, at) for version, at in waiting if version > seen]


def _version(metadata: dict[str, Any]) -> int:
    return _number(str(metadata.get("resourceVersion", "")))


def _number(version: str) -> int:
    return int(version) if version.isdigit() else 0
