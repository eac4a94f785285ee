"""Which session is reconciled next.

A key that is added twice is worked on once; one key is never worked on by two workers at the same
time; what arrives while it is worked on makes it come again. A failure brings a key back after a
delay that doubles, a result after the delay that it asks for. Routine looks (polls, lists) stand
back behind what has happened, but not for good: some of the turns are theirs.

`KeyQueue` is the bookkeeping, without clock or event loop. `WorkQueue` drives it with workers.
"""

import asyncio
import heapq
import itertools
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Generic, TypeVar

from podstream_core.logs import log_fields
from podstream_operator.errors import ApiUnavailable, OperatorError

logger = logging.getLogger(__name__)

FIRST_BACKOFF_S: Final = 0.1
MAX_BACKOFF_S: Final = 30.0
ROUTINE_TURN: Final = 4
"""Every so many turns belong to a routine look, however much has happened."""
MIN_STALE: Final = 64
"""Entries of the heap that may be out of date before it is rebuilt, beside one per waiting key."""
IDLE_WAKEUP_S: Final = 5.0
"""Workers turn at least this often, so that liveness can tell that they do."""

K = TypeVar("K")


class KeyQueue(Generic[K]):
    """Keys that are due, that wait, and that are being worked on."""

    def __init__(self) -> None:
        self._ready: dict[K, float] = {}
        """Due keys in order of arrival, with the moment they became due."""
        self._routine: dict[K, float] = {}
        """Due keys that nothing has happened to, likewise."""
        self._turn = 0
        self._waiting: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._order = itertools.count()
        self._active: set[K] = set()
        self._again: dict[K, bool] = {}
        """Active keys that are due again, and whether only by routine."""
        self._failures: dict[K, int] = {}

    def add(self, key: K, *, now: float, routine: bool = False) -> None:
        """Make a key due."""
        self._waiting.pop(key, None)
        if key in self._active:
            self._again[key] = self._again.get(key, True) and routine
        elif not routine:
            self._routine.pop(key, None)
            self._ready.setdefault(key, now)
        elif key not in self._ready:
            self._routine.setdefault(key, now)

    def add_at(self, key: K, *, at: float) -> None:
        """Make a key due at a moment; an earlier one that is set already stays."""
        # A routine look that is due may take longer than the moment that is asked for.
        is_due = key in self._ready or self._again.get(key) is False
        if is_due or self._waiting.get(key, at + 1) <= at:
            return
        self._waiting[key] = at
        heapq.heappush(self._heap, (at, next(self._order), key))
        if len(self._heap) > 2 * len(self._waiting) + MIN_STALE:
            self._drop_stale()

    def pop(self, *, now: float) -> K | None:
        """Take the next due key; it is active until `done`."""
        while self._heap and self._heap[0][0] <= now:
            at, _, key = heapq.heappop(self._heap)
            if self._waiting.get(key) == at:
                del self._waiting[key]
                self.add(key, now=at)
        self._turn += 1
        is_routines_turn = self._turn % ROUTINE_TURN == 0
        first, second = self._ready, self._routine
        if is_routines_turn:
            first, second = second, first
        due = first or second
        if not due:
            return None
        key = next(iter(due))
        del due[key]
        self._active.add(key)
        return key

    def done(self, key: K, *, now: float) -> None:
        """A key has been worked on."""
        self._active.discard(key)
        routine = self._again.pop(key, None)
        if routine is not None:
            self.add(key, now=now, routine=routine)

    def failed(self, key: K) -> int:
        """Count a failure; how many there were in a row."""
        self._failures[key] = self._failures.get(key, 0) + 1
        return self._failures[key]

    def succeeded(self, key: K) -> None:
        """Forget the failures of a key."""
        self._failures.pop(key, None)

    def next_due(self) -> float | None:
        """When the next waiting key becomes due; late where that one was added meanwhile."""
        return self._heap[0][0] if self._heap else None

    def depth(self) -> int:
        """Keys that are due and not worked on."""
        return len(self._ready) + len(self._routine)

    def oldest(self) -> float | None:
        """When the oldest due key became due."""
        firsts = (next(iter(due.values()), None) for due in (self._ready, self._routine))
        return min((at for at in firsts if at is not None), default=None)

    def _drop_stale(self) -> None:
        """Leave out entries whose key came earlier than they are due, which may be in a day."""
        self._heap = [entry for entry in self._heap if self._waiting.get(entry[2]) == entry[0]]
        heapq.heapify(self._heap)


def backoff_s(failures: int, *, jitter: float) -> float:
    """Seconds to wait after so many failures in a row; `jitter` in 0..1 spreads by half."""
    delay = min(FIRST_BACKOFF_S * 2.0 ** min(failures - 1, 20), MAX_BACKOFF_S)
    return delay * (0.75 + 0.5 * jitter)


class WorkQueue(Generic[K]):
    """Runs one function per due key, with a bounded number of workers.

    The function returns the seconds after which it wants to see the key again, or `None`. What
    it raises is logged, counted by `on_result` and retried with backoff. `about` names the fields
    that every log line has while a key is worked on.
    """

    def __init__(
        self,
        work: Callable[[K], Awaitable[float | None]],
        *,
        workers: int,
        on_result: Callable[[str, float], None] = lambda _result, _seconds: None,
        about: Callable[[K], Mapping[str, str]] = lambda key: {"key": str(key)},
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._work = work
        self._workers = workers
        self._on_result = on_result
        self._about = about
        self._clock = clock
        self._jitter = jitter
        self._keys: KeyQueue[K] = KeyQueue()
        self._wake = asyncio.Event()
        self._turns: dict[int, float] = {}

    def add(self, key: K) -> None:
        """Make a key due now."""
        self._keys.add(key, now=self._clock())
        self._wake.set()

    def add_routine(self, key: K) -> None:
        """Make a key due for a look that nothing has asked for; what has happened goes first."""
        self._keys.add(key, now=self._clock(), routine=True)
        self._wake.set()

    def add_after(self, key: K, delay_s: float) -> None:
        """Make a key due later."""
        self._keys.add_at(key, at=self._clock() + max(delay_s, 0.0))
        self._wake.set()

    def depth(self) -> int:
        """Keys that are due and not worked on."""
        return self._keys.depth()

    def oldest_s(self) -> float:
        """How long the oldest due key has been waiting, seconds."""
        since = self._keys.oldest()
        return 0.0 if since is None else max(self._clock() - since, 0.0)

    def stalled_s(self) -> float:
        """For how long the worker has not turned that turned least recently, seconds."""
        return self._clock() - min(self._turns.values(), default=self._clock())

    async def run(self) -> None:
        """Work until cancelled. A reconcile that is under way is cancelled with it."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._workers):
                group.create_task(self._worker(number), name=f"worker-{number}")

    async def _worker(self, number: int) -> None:
        while True:
            self._turns[number] = self._clock()
            key = self._keys.pop(now=self._clock())
            if key is None:
                await self._sleep()
                continue
            if self._keys.depth():
                self._wake.set()  # there is more: another worker may take it
            try:
                with log_fields(**self._about(key)):
                    await self._process(key)
            finally:
                self._keys.done(key, now=self._clock())
                self._wake.set()

    async def _sleep(self) -> None:
        due = self._keys.next_due()
        left = IDLE_WAKEUP_S if due is None else min(due - self._clock(), IDLE_WAKEUP_S)
        if left <= 0:
            return
        self._wake.clear()
        try:
            async with asyncio.timeout(left):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _process(self, key: K) -> None:
        started = self._clock()
        try:
            again_s = await self._work(key)
        except OperatorError as error:
            self._retry(key, error=error)
            self._on_result("retry", self._clock() - started)
        except Exception as error:
            logger.exception("reconcile failed")
            self._retry(key, error=error)
            self._on_result("error", self._clock() - started)
        else:
            self._keys.succeeded(key)
            self._on_result("ok", self._clock() - started)
            if again_s is not None:
                self.add_after(key, again_s)

    def _retry(self, key: K, *, error: Exception) -> None:
        failures = self._keys.failed(key)
        delay = backoff_s(failures, jitter=self._jitter())
        wish = error.retry_after_s if isinstance(error, ApiUnavailable) else None
        if wish is not None:
            delay = max(delay, min(wish, MAX_BACKOFF_S))
        logger.warning(
            "reconcile is repeated",
            extra={
                "failures": failures,
                "delay_s": round(delay, 3),
                "cause": str(error),
            },
        )
        self.add_after(key, delay)
