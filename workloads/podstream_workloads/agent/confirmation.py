"""The clock of an assignment that nobody has confirmed.

A pod may be assigned to a session whose resource then never comes to be: its router died before it
was created, or it was deleted at once. Nobody would ever end such a pod from outside, so it ends
itself. A client in a slot is no confirmation, but it is not cut off either: the pod looks again
until the slot is free.
"""

import asyncio
from collections.abc import Callable
from typing import Final

LOOK_AGAIN_S: Final = 10.0
"""While a client holds its slot: time between two looks."""


class Confirmation:
    """Ends an assignment that stays unconfirmed; one confirmation is enough for good."""

    def __init__(
        self, *, timeout_s: float, is_taken: Callable[[], bool], on_missing: Callable[[], None]
    ) -> None:
        """Prepare a clock that stands still.

        Args:
            timeout_s: time from the assignment in which somebody must ask for the pod.
            is_taken: whether a client holds a slot.
            on_missing: called once, when the time is over and no slot is taken.
        """
        self._loop = asyncio.get_running_loop()
        self._timeout_s = timeout_s
        self._is_taken = is_taken
        self._on_missing = on_missing
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """The pod is assigned: the time begins."""
        self._timer = self._loop.call_later(self._timeout_s, self._look)

    def confirm(self) -> None:
        """Somebody knows of the session, or it is ending anyway."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        if self._is_taken():
            again_s = min(LOOK_AGAIN_S, self._timeout_s)
            self._timer = self._loop.call_later(again_s, self._look)
        else:
            self._on_missing()
