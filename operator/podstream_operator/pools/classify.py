"""What is each pod of a pool good for?"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from podstream_core import names
from podstream_core.api import PoolKey, StreamSession
from podstream_core.assignment import AssignedPod
from podstream_core.termination import decode_termination
from podstream_operator.cluster import Cache
from podstream_operator.facts import PodFacts, PooledPod, Use
from podstream_operator.pools.view import WarmView
from podstream_operator.status import ending_of

LIVE: Final = frozenset({Use.STARTING, Use.IDLE, Use.SILENT, Use.IN_USE})
"""What counts towards `spec.max`."""
SILENCE_PATIENCE_S: Final = 5.0
"""An idle pod whose agent has been silent for so long is not kept warm any more."""
GIVEN_UP: Final = frozenset({"Abandoned", "SessionRejected"})
"""Reasons with which a router ends a pod for which it will create no session."""
LAST_WORDS_KEPT: Final = timedelta(seconds=150)
"""A pod that ended before its session appeared: routers try to create that for 120 s."""


def pods_of_pool(
    key: PoolKey, *, shape: str, cache: Cache, warm: WarmView, now: datetime
) -> list[PooledPod]:
    """Every session pod with the pool's label, in order of creation."""
    return _pooled(cache.pods_of_pool(key), key, shape=shape, cache=cache, warm=warm, now=now)


def warm_pods_of_pool(
    key: PoolKey, *, cache: Cache, warm: WarmView, now: datetime
) -> list[PooledPod]:
    """Those that no session has; cheap, however many sessions the pool serves."""
    return _pooled(cache.warm_pods_of_pool(key), key, shape="", cache=cache, warm=warm, now=now)


def _pooled(
    found: Iterable[PodFacts],
    key: PoolKey,
    *,
    shape: str,
    cache: Cache,
    warm: WarmView,
    now: datetime,
) -> list[PooledPod]:
    claimed = claimed_uids(cache.sessions_of_pool(key))
    pods = sorted(found, key=lambda pod: (pod.created_at or now, pod.name))
    return [
        PooledPod(
            pod,
            use_of(pod, cache=cache, warm=warm, claimed=claimed, now=now),
            fits=pod.shape == shape,
            known_s=warm.known_s(pod) if pod.is_warm else 0.0,
        )
        for pod in pods
        if pod.role == names.ROLE_SESSION
    ]


def claimed_uids(sessions: list[StreamSession]) -> set[str]:
    """UIDs of the pods that sessions say a router has assigned to them."""
    found = (AssignedPod.of(session.metadata.annotations) for session in sessions)
    return {assigned.pod_uid for assigned in found if assigned is not None}


def use_of(pod: PodFacts, *, cache: Cache, warm: WarmView, claimed: set[str], now: datetime) -> Use:
    """Use of one pod."""
    if not pod.exists:
        return Use.LEAVING
    if not pod.is_warm:
        return _use_of_adopted(pod, cache=cache)
    taken = warm.is_taken(pod)
    if pod.is_finished:
        if pod.uid in claimed:
            return Use.LEAVING
        kept = (
            _was_assigned(pod, taken=taken) and now - warm.finished(pod, now=now) < LAST_WORDS_KEPT
        )
        return Use.LEAVING if kept else Use.FINISHED
    if taken or pod.uid in claimed:
        return Use.IN_USE
    if not warm.is_free(pod):
        return Use.STARTING
    silent_s = warm.silent_s(pod)
    return Use.SILENT if silent_s is not None and silent_s > SILENCE_PATIENCE_S else Use.IDLE


def _was_assigned(pod: PodFacts, *, taken: bool) -> bool:
    """Whether a session may still come for a pod that has ended: by its record, where it left one.

    What its agent said while it ran (`taken`) is also true of one that was retired, and unknown
    to an operator that began after it.
    """
    record = decode_termination(pod.terminated.message) if pod.terminated else None
    if record is None or record.pod_uid != pod.uid:
        return taken
    if record.failure is not None and record.failure.reason in GIVEN_UP:
        return False
    return record.assignment_id is not None


def _use_of_adopted(pod: PodFacts, *, cache: Cache) -> Use:
    session = cache.session_by_uid(pod.owner_uid or "", namespace=pod.namespace, name=pod.session)
    if session is None or pod.is_finished:
        return Use.LEAVING
    return Use.IN_USE if ending_of(session.status) is None else Use.LINGERING
