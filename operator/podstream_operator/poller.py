"""Asks the agents of live sessions how they stand: one loop, coarse, with a bounded rate.

It only makes keys due; asking, deciding and writing happen where everything happens. Routers
send hints when a connection comes or goes, so this is the net under them, and the source of live
results. It also tells agents that somebody knows of their session.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from podstream_core.api import SessionKey

INTERVAL_S: Final = 2.0
"""Between two looks at one session: how late an end may be seen when a hint is lost."""
MAX_RATE: Final = 50.0
"""Looks a second over all sessions; beyond 100 sessions each one is looked at less often."""
MAX_SILENT_DOUBLINGS: Final = 4
"""Agents that do not answer are asked after 4, 8, 16, 32 s."""
TICK_S: Final = 0.25
SEEN_A_SECOND: Final = 2500
"""Sessions gone through per second to find those whose turn it is: 5,000 take 40 ms of CPU."""


class PollSchedule:
    """When each live session is looked at next. Pure: the clock is passed in."""

    def __init__(self) -> None:
        self._next: dict[SessionKey, float] = {}

    def __len__(self) -> int:
        return len(self._next)

    def due(self, live: Iterable[tuple[SessionKey, int]], *, now: float) -> list[SessionKey]:
        """Sessions whose turn it is; `live` has every live session and its unanswered calls."""
        sessions = dict(live)
        interval = max(INTERVAL_S, len(sessions) / MAX_RATE)
        for key in self._next.keys() - sessions.keys():
            del self._next[key]
        found = []
        for key, silent in sessions.items():
            at = self._next.setdefault(key, now + interval)
            if now >= at:
                found.append(key)
                self._next[key] = now + interval * 2 ** min(silent, MAX_SILENT_DOUBLINGS)
        return found


def tick_s(sessions: int) -> float:
    """Seconds until the schedule is looked at again: the more sessions, the rarer their turns."""
    return min(max(TICK_S, sessions / SEEN_A_SECOND), INTERVAL_S)


async def poll(
    live: Callable[[], Iterable[tuple[SessionKey, int]]],
    *,
    enqueue: Callable[[SessionKey], None],
) -> None:
    """Make live sessions due, each at its turn, until cancelled."""
    schedule = PollSchedule()
    loop = asyncio.get_running_loop()
    while True:
        for key in schedule.due(live(), now=loop.time()):
            enqueue(key)
        await asyncio.sleep(tick_s(len(schedule)))
