"""Which idle pods do the waiting connections of a pool get, and which of them are refused?"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from podstream_router.routes import PodRoute, PoolRoute


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of the connections that wait, in the order of their arrival."""

    granted: tuple[PodRoute, ...]
    """Pods for the first of them."""
    admitted: int
    """How many get a pod or may go on waiting; the others find the pool at its maximum."""


def idle_pods(
    pool: PoolRoute,
    *,
    pods: Iterable[PodRoute],
    is_taken: Callable[[str], bool],
    is_resting: Callable[[str], bool],
    salt: str,
) -> list[PodRoute]:
    """The pods that can be tried, best first.

    A pod is idle where the pool is its controller, it runs, and nobody is known to have taken it.
    Its agent answers a good while before the kubelet finds it ready, so one that is not ready can
    be tried as well, after all others.

    Args:
        pool: the pool.
        pods: pods whose controller is the pool.
        is_taken: whether somebody is known to have taken a pod, by UID, ahead of the watch.
        is_resting: whether a pod is left alone at the moment, because it did not answer.
        salt: name of this router: among pods of the same second each router prefers others, so
            that two of them seldom race for one.
    """

    def preference(pod: PodRoute) -> tuple[object, ...]:
        mix = hashlib.blake2b(f"{salt}/{pod.uid}".encode(), digest_size=8).digest()
        return (not pod.ready, pod.shape != pool.shape, pod.created, mix)

    idle = [
        pod for pod in pods if pod.running and not is_taken(pod.uid) and not is_resting(pod.uid)
    ]
    return sorted(idle, key=preference)


def count_in_use(
    pods: Iterable[PodRoute],
    *,
    is_taken: Callable[[str], bool],
    has_ended: Callable[[PodRoute], bool],
) -> int:
    """How many pods belong to somebody who has not ended.

    Pods whose session has ended only linger and do not count. Pods that nobody has yet, also those
    that are starting, are there for those who wait.

    Args:
        pods: all pods that were started for the pool.
        is_taken: whether somebody is known to have taken a pod, by UID, ahead of the watch.
        has_ended: whether the session of a pod has ended.
    """
    return sum(is_taken(pod.uid) if pod.session is None else not has_ended(pod) for pod in pods)


def plan_claims(pool: PoolRoute, *, idle: Sequence[PodRoute], in_use: int, waiting: int) -> Plan:
    """Give out the idle pods, and refuse whom the pool's maximum leaves no hope.

    Args:
        pool: the pool.
        idle: pods that can be tried, best first.
        in_use: pods that count towards the maximum; of no weight where all who wait get a pod.
        waiting: how many connections wait.
    """
    granted = tuple(idle[:waiting])
    room = max(0, pool.max - in_use)
    return Plan(granted, admitted=max(len(granted), min(waiting, room)))
