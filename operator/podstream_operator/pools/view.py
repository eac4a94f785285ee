"""What is known of pods that wait in pools beyond what Kubernetes shows: their agents' words.

Volatile and rebuilt by asking. The agent has the last word: an entry that is wrong costs a call
that is refused, never a shared pod.
"""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from podstream_core.agentapi import AgentState
from podstream_operator.facts import PodFacts, is_idle

_ANOTHER: Final = "another"
"""Whom a pod is reserved by that has refused us, until its agent says more."""


@dataclass(slots=True)
class _Entry:
    since: float
    """When this process first looked at the pod."""
    state: AgentState | None = None
    asked_at: float | None = None
    silent: int = 0
    """Questions in a row without an answer."""
    silent_since: float | None = None
    """When the first of them was asked."""
    reserved_by: str | None = None
    """UID of the session that is being given this pod by this process."""
    finished_at: datetime | None = None


class WarmView:
    """Owns the agents' last words, by the UID of the pod."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._entries: dict[str, _Entry] = {}

    def answered(self, pod: PodFacts, state: AgentState) -> None:
        """The pod's agent has told its state."""
        entry = self._entry(pod)
        entry.state, entry.asked_at, entry.silent = state, self._clock(), 0
        entry.silent_since = None
        if entry.reserved_by == _ANOTHER:
            entry.reserved_by = None

    def unanswered(self, pod: PodFacts) -> None:
        """The pod's agent did not answer."""
        entry = self._entry(pod)
        entry.asked_at = self._clock()
        entry.silent += 1
        if entry.silent_since is None:
            entry.silent_since = entry.asked_at

    def lost(self, pod: PodFacts) -> None:
        """The pod has refused: somebody else was first. Its state is asked again."""
        entry = self._entry(pod)
        entry.state = None
        entry.reserved_by = _ANOTHER

    def reserve(self, pod: PodFacts, *, session_uid: str) -> None:
        """This process is about to assign the pod."""
        self._entry(pod).reserved_by = session_uid

    def release(self, pod: PodFacts) -> None:
        """The assignment did not come about."""
        self._entry(pod).reserved_by = None

    def finished(self, pod: PodFacts, *, now: datetime) -> datetime:
        """Since when the pod has been seen finished."""
        entry = self._entry(pod)
        if entry.finished_at is None:
            entry.finished_at = now
        return entry.finished_at

    def state(self, pod: PodFacts) -> AgentState | None:
        """The agent's last word."""
        entry = self._entries.get(pod.uid)
        return entry.state if entry else None

    def asked_s(self, pod: PodFacts) -> float | None:
        """Seconds since the agent was asked last; `None` before."""
        entry = self._entries.get(pod.uid)
        return None if entry is None or entry.asked_at is None else self._clock() - entry.asked_at

    def silent(self, pod: PodFacts) -> int:
        """Questions in a row without an answer."""
        entry = self._entries.get(pod.uid)
        return entry.silent if entry else 0

    def is_free(self, pod: PodFacts) -> bool:
        """Whether the pod can be given to a session, as far as this process knows."""
        entry = self._entries.get(pod.uid)
        return entry is not None and entry.reserved_by is None and _was_idle(entry)

    def silent_s(self, pod: PodFacts) -> float | None:
        """For how long a pod has not answered that was idle, seconds; `None` where it answers."""
        entry = self._entries.get(pod.uid)
        if entry is None or entry.silent_since is None or not _was_idle(entry):
            return None
        return self._clock() - entry.silent_since

    def is_taken(self, pod: PodFacts) -> bool:
        """Whether the pod belongs to somebody: by its own word, or by an assignment under way."""
        entry = self._entries.get(pod.uid)
        if entry is None:
            return False
        assigned = entry.state is not None and not is_idle(entry.state)
        return assigned or entry.reserved_by is not None

    def forget_absent(self, uids: Collection[str]) -> None:
        """Drop what is known of pods that exist no longer."""
        for uid in self._entries.keys() - set(uids):
            del self._entries[uid]

    def known_s(self, pod: PodFacts) -> float:
        """For how long this process has known the pod, seconds, whatever any wall clock says."""
        return self._clock() - self._entry(pod).since

    def _entry(self, pod: PodFacts) -> _Entry:
        found = self._entries.get(pod.uid)
        if found is None:
            found = self._entries[pod.uid] = _Entry(since=self._clock())
        return found


def _was_idle(entry: _Entry) -> bool:
    return entry.state is not None and is_idle(entry.state)
