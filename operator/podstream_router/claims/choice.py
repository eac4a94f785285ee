"""Which idle pods do the waiting connections of a pool get, and which of them are refused?"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from podstream_router.routes import PodRoute, PoolRoute


@dataclass(frozen=True, slots=True)
class Census:
    """The pods of a pool as this router sees them."""

    idle: tuple[PodRoute, ...]
    """Pods that can be taken, best first."""
    in_use: int
    """Pods that belong to somebody who has not ended."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of the connections that wait, in the order of their arrival."""

    granted: tuple[PodRoute, ...]
    """Pods for the first of them."""
    admitted: int
    """How many get a pod or may go on waiting; the others find the pool at its maximum."""


def take_census(
    pool: PoolRoute,
    *,
    pods: Iterable[PodRoute],
    is_taken: Callable[[str], bool],
    is_resting: Callable[[str], bool],
    has_ended: Callable[[PodRoute], bool],
    salt: str,
) -> Census:
    """Sort the pods of a pool.

    A pod is idle where the pool is its controller, it runs, and nobody is known to have taken it.
    Its agent answers a good while before the kubelet finds it ready, so one that is not ready can
    be tried as well, after all others. Pods whose session has ended only linger and do not count;
    pods that do not run yet will be idle.

    Args:
        pool: the pool.
        pods: its pods that have not ended.
        is_taken: whether somebody is known to have taken a pod, by UID, ahead of the watch.
        is_resting: whether a pod is left alone at the moment, because it did not answer.
        has_ended: whether the session of a pod has ended.
        salt: name of this router: among pods of the same second each router prefers others, so
            that two of them seldom race for one.
    """
    idle: list[PodRoute] = []
    in_use = 0
    for pod in pods:
        if pod.session is not None:
            in_use += not has_ended(pod)
        elif is_taken(pod.uid):
            in_use += 1
        elif pod.owner_uid == pool.uid and pod.running and not is_resting(pod.uid):
            idle.append(pod)

    def preference(pod: PodRoute) -> tuple[object, ...]:
        mix = hashlib.blake2b(f"{salt}/{pod.uid}".encode(), digest_size=8).digest()
        return (not pod.ready, pod.shape != pool.shape, pod.created, mix)

    return Census(tuple(sorted(idle, key=preference)), in_use)


def plan_claims(pool: PoolRoute, *, census: Census, waiting: int) -> Plan:
    """Give out the idle pods, and refuse whom the pool's maximum leaves no hope."""
    granted = census.idle[:waiting]
    room = max(0, pool.max - census.in_use)
    return Plan(granted, admitted=max(len(granted), min(waiting, room)))
