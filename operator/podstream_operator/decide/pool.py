"""How many pods does a pool need, which must go, and what is written down? Pure.

A pool keeps `spec.warm` idle pods and one more for every connection that waits, as far as
`spec.max` allows. When the template leads to another pod, idle pods are replaced a few at a time;
pods in use are never touched. Nothing here ends a pod that a session has or may have: an idle pod
is retired by its agent's leave only (`Retire`), and the agent refuses once it is assigned.
"""

import dataclasses
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from podstream_core.api import StreamPool, StreamSession
from podstream_operator.decide.startup import PATIENCE
from podstream_operator.facts import PodFacts, PooledPod, PoolMemory, PoolObserved, Use
from podstream_operator.status.ending import ending_of

SURGE: Final = 0.25
"""Share of the idle pods that a change of the template replaces at a time, at least one."""
EXCESS_GRACE: Final = timedelta(seconds=10)
"""Idle pods beyond the wish are kept for a moment: demand comes and goes."""
FIRST_RETRY_S: Final = 1.0
MAX_RETRY_S: Final = 60.0
HISTORY_BATCH: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolPlan:
    """What to do for a pool. Every part may be repeated."""

    create: int = 0
    """Pods to start."""
    retire: tuple[PodFacts, ...] = ()
    """Idle pods to end, each only if its agent agrees."""
    discard: tuple[PodFacts, ...] = ()
    """Pods whose object can go: they ended, hang, or only linger."""
    delete_sessions: tuple[StreamSession, ...] = ()
    """Ended sessions beyond `spec.historyLimit`."""
    memory: PoolMemory
    requeue_after_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Census:
    """A pool's pods by use."""

    starting: tuple[PooledPod, ...]
    idle: tuple[PooledPod, ...]
    silent: int
    in_use: int
    lingering: tuple[PooledPod, ...]
    finished: tuple[PooledPod, ...]

    @property
    def live(self) -> int:
        """What counts towards `spec.max`."""
        return len(self.starting) + len(self.idle) + self.silent + self.in_use


def take_census(pods: Sequence[PooledPod]) -> Census:
    """Count a pool's pods."""

    def of(use: Use) -> tuple[PooledPod, ...]:
        return tuple(pooled for pooled in pods if pooled.use is use)

    return Census(
        starting=of(Use.STARTING),
        idle=of(Use.IDLE),
        silent=len(of(Use.SILENT)),
        in_use=len(of(Use.IN_USE)),
        lingering=of(Use.LINGERING),
        finished=of(Use.FINISHED),
    )


def wanted_idle(pool: StreamPool, *, in_use: int, waiting: int) -> int:
    """Idle pods that there should be, ready or starting."""
    return max(0, min(pool.spec.warm + waiting, pool.spec.max - in_use))


def decide_pool(
    pool: StreamPool, *, observed: PoolObserved, max_starting: int, now: datetime
) -> PoolPlan:
    """Decide what to do next for a pool.

    Args:
        pool: the pool.
        observed: its pods, and what else is known.
        max_starting: pods of a pool that may be starting at a time.
        now: for back-off and grace.
    """
    census = take_census(observed.pods)
    history = _beyond_history(pool, history=observed.history)
    if pool.metadata.deletion_timestamp is not None:
        # The garbage collector ends what the pool owns; pods in use belong to their sessions.
        return PoolPlan(memory=observed.memory)
    hanging = _hanging(pool, census=census)
    memory = _count_failures(observed.memory, census=census, hanging=hanging, now=now)
    census = dataclasses.replace(
        census, starting=tuple(item for item in census.starting if item not in hanging)
    )
    retire, memory, grace_s = _surplus(
        pool, census=census, observed=observed, memory=memory, now=now
    )
    create = _missing(
        pool, census=census, observed=observed, max_starting=max_starting, memory=memory, now=now
    )
    give_way = _give_way(pool, census=census, create=create)
    return PoolPlan(
        create=create,
        retire=retire,
        discard=tuple(
            item.pod for item in (*census.finished, *hanging, *give_way) if item.pod.exists
        ),
        delete_sessions=history,
        memory=memory,
        requeue_after_s=_earliest(
            grace_s, _retry_s(memory, now=now), _patience_left_s(pool, census=census)
        ),
    )


def _missing(
    pool: StreamPool,
    *,
    census: Census,
    observed: PoolObserved,
    max_starting: int,
    memory: PoolMemory,
    now: datetime,
) -> int:
    if memory.retry_at is not None and now < memory.retry_at:
        return 0
    wanted = wanted_idle(pool, in_use=census.in_use, waiting=observed.waiting)
    fitting = sum(item.fits for item in (*census.starting, *census.idle))
    stale = len(census.starting) + len(census.idle) - fitting
    missing = wanted - fitting
    if stale and not observed.waiting:
        # A few at a time: the old ones serve until the new ones are ready.
        surge = max(1, math.ceil(SURGE * pool.spec.warm))
        missing = min(missing, surge - sum(item.fits for item in census.starting))
    room = min(pool.spec.max - census.live, max_starting - len(census.starting))
    return max(0, min(missing, room))


def _surplus(
    pool: StreamPool,
    *,
    census: Census,
    observed: PoolObserved,
    memory: PoolMemory,
    now: datetime,
) -> tuple[tuple[PodFacts, ...], PoolMemory, float | None]:
    """Idle pods to retire, and seconds until more may have to go."""
    wanted = wanted_idle(pool, in_use=census.in_use, waiting=observed.waiting)
    fresh = [item.pod for item in census.idle if item.fits]
    coming = [item.pod for item in census.starting if item.fits]
    stale = [item.pod for item in (*census.starting, *census.idle) if not item.fits]
    # Old ones go as new ones are ready; where max leaves no room for a new one, one goes ahead.
    leave = len(fresh) + len(stale) - wanted
    if stale and leave <= 0 and not coming and census.live >= pool.spec.max:
        leave = 1
    retire = stale[: max(0, leave)]
    excess = len(fresh) + len(coming) - wanted
    if stale or excess <= 0:
        return tuple(retire), dataclasses.replace(memory, excess_since=None), None
    since = memory.excess_since or now
    memory = dataclasses.replace(memory, excess_since=since)
    if now - since < EXCESS_GRACE:
        return (), memory, (since + EXCESS_GRACE - now).total_seconds()
    # Those that start go first, then the youngest.
    return tuple([*coming[::-1], *fresh[::-1]][:excess]), memory, None


def _give_way(pool: StreamPool, *, census: Census, create: int) -> tuple[PooledPod, ...]:
    """Lingering pods that new ones need the place of, oldest first."""
    over = census.live + create + len(census.lingering) - pool.spec.max
    return census.lingering[: max(0, over)]


def _hanging(pool: StreamPool, *, census: Census) -> tuple[PooledPod, ...]:
    """Pods that have been starting for longer than a session would wait.

    By this process's own count: a pod's age would make all pods old when a clock is set forward.
    """
    patience_s = pool.spec.template.spec.startup_timeout_seconds
    # Where the kubelet's probe has found an agent up, only this process does not reach it.
    return tuple(
        item for item in census.starting if not item.pod.ready and item.known_s > patience_s
    )


def _patience_left_s(pool: StreamPool, *, census: Census) -> float | None:
    """Until a pod that starts is late enough to tell why, or has hung: no event may come."""
    limits = (PATIENCE.total_seconds(), pool.spec.template.spec.startup_timeout_seconds)
    late = (item.known_s for item in census.starting if not item.pod.ready)
    left = (limit - known_s for known_s in late for limit in limits if limit >= known_s)
    soonest = min(left, default=None)
    return None if soonest is None else soonest + 1.0


def _count_failures(
    memory: PoolMemory, *, census: Census, hanging: Sequence[PooledPod], now: datetime
) -> PoolMemory:
    """Pods that ended before any session had them make the next ones wait, longer each time."""
    bad = {item.pod.uid for item in (*census.finished, *hanging)}
    new = bad - memory.failed
    if new:
        failures = memory.failures + 1
        delay = min(FIRST_RETRY_S * 2.0 ** (failures - 1), MAX_RETRY_S)
        return dataclasses.replace(
            memory,
            failed=frozenset(bad),
            failures=failures,
            retry_at=now + timedelta(seconds=delay),
        )
    if census.idle and memory.failures:
        return dataclasses.replace(memory, failures=0, retry_at=None)
    return memory


def _retry_s(memory: PoolMemory, *, now: datetime) -> float | None:
    if memory.retry_at is None or memory.retry_at <= now:
        return None
    return (memory.retry_at - now).total_seconds()


def _beyond_history(
    pool: StreamPool, *, history: Sequence[StreamSession]
) -> tuple[StreamSession, ...]:
    ended = [session for session in history if ending_of(session.status) is not None]
    return tuple(ended[: max(0, len(ended) - pool.spec.history_limit)][:HISTORY_BATCH])


def _earliest(*delays: float | None) -> float | None:
    return min((delay for delay in delays if delay is not None), default=None)


def count_uses(pods: Sequence[PooledPod]) -> Counter[Use]:
    """Pods by use, for metrics."""
    return Counter(pooled.use for pooled in pods)
