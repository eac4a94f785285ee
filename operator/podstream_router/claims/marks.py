"""Remembers about idle pods what the watch does not show, or not yet."""

import math
from collections.abc import Callable


class Marks:
    """Pods that look idle on the watch and are not to be tried, for good or for a while."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._until)

    def take(self, uid: str) -> None:
        """Somebody has the pod, or is just being given it."""
        self._until[uid] = math.inf

    def rest(self, uid: str, *, for_s: float) -> None:
        """The pod did not answer: leave it alone for so many seconds."""
        self._until[uid] = self._clock() + for_s

    def is_taken(self, uid: str) -> bool:
        """Whether somebody has the pod."""
        return self._until.get(uid) == math.inf

    def is_resting(self, uid: str) -> bool:
        """Whether the pod is left alone at the moment."""
        return self._clock() < self._until.get(uid, -math.inf) < math.inf

    def forget(self, uid: str) -> None:
        """The pod is free, or gone."""
        self._until.pop(uid, None)
