"""Remembers which pods are taken before the watch shows it."""

import math
from collections.abc import Callable


class Marks:
    """Pods that look idle on the watch and are not to be tried."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._until)

    def take(self, uid: str, *, for_s: float = math.inf) -> None:
        """Leave a pod out, for good unless `for_s` says how many seconds."""
        self._until[uid] = self._clock() + for_s

    def is_taken(self, uid: str) -> bool:
        """Whether a pod is left out."""
        return self._until.get(uid, -math.inf) > self._clock()

    def forget(self, uid: str) -> None:
        """The pod is free, or gone."""
        self._until.pop(uid, None)
