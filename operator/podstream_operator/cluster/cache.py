"""What watches and lists have shown: sessions, pools and their pods, by key.

Reads never block. Writes come from three sides (kopf's watch, the operator's own lists, answers
to its own writes), so an object is replaced only by a newer one: resource versions of one kind
compare as integers (Kubernetes 1.35 made that official; it has always held for etcd).
"""

import dataclasses
import logging
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

import msgspec

from podstream_core import names
from podstream_core.api import PoolKey, SessionKey, StreamPool, StreamSession
from podstream_operator.cluster.client import Body
from podstream_operator.facts import PodFacts

logger = logging.getLogger(__name__)

_Key = TypeVar("_Key", SessionKey, PoolKey)
_Object = TypeVar("_Object", StreamSession, StreamPool)


GONE_KEPT: Final = 10_000
"""A megabyte; events are late by seconds."""


@dataclass(frozen=True, slots=True)
class CachedSession:
    """A session as it is stored."""

    session: StreamSession
    raw_status: dict[str, Any]
    """The status as stored, with members that this version does not know."""
    first_seen_at: datetime


@dataclass(frozen=True, slots=True)
class CachedPool:
    """A pool as it is stored."""

    pool: StreamPool
    raw_status: dict[str, Any]
    """The status as stored, with members that this version does not know."""


@dataclass(frozen=True, slots=True)
class Touched:
    """Whom a change concerns."""

    session: SessionKey | None = None
    pool: PoolKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Uids:
    """UIDs of what exists in a namespace."""

    sessions: set[str]
    pods: set[str]
    pools: set[str]


class Cache:
    """Owns the operator's picture of the cluster. Not shared between event loops."""

    def __init__(self) -> None:
        self._sessions: dict[SessionKey, CachedSession] = {}
        self._pods: dict[SessionKey, dict[str, PodFacts]] = defaultdict(dict)
        self._pools: dict[PoolKey, CachedPool] = {}
        self._gone_sessions: dict[str, None] = {}
        """UIDs of sessions that were deleted, oldest first: the watch may still bring older events
        of them, which would make them known, and deleted, once more."""
        self._pool_sessions: dict[PoolKey, set[SessionKey]] = defaultdict(set)
        self._by_uid: dict[str, PodFacts] = {}
        """Every pod once, as it was placed in the tables by session and by pool."""
        self._pool_pods: dict[PoolKey, dict[str, PodFacts]] = defaultdict(dict)
        self._warm_pods: dict[PoolKey, dict[str, PodFacts]] = defaultdict(dict)
        """Those of them that no session has: tens, where a pool may serve thousands."""
        self.changes = 0
        """Grows with every change of a session or a pod: what was counted at one value holds."""

    def __len__(self) -> int:
        return len(self._sessions)

    def put_session(self, body: Body, *, now: datetime) -> SessionKey | None:
        """Take over a session's body; its key where that is news.

        It is not where the body is unreadable, the session was deleted, or just this version was
        listed or written here.
        """
        key = SessionKey(body["metadata"]["namespace"], body["metadata"]["name"])
        known = self._sessions.get(key)
        if known is not None and _is_same(body, known.session):
            return None
        if body["metadata"].get("uid") in self._gone_sessions:
            return None
        session = _read(StreamSession, body)
        if session is None:
            return None
        first_seen_at = now
        if known is not None and known.session.metadata.uid == session.metadata.uid:
            if _is_older(session.metadata.resource_version, known.session):
                return key
            first_seen_at = known.first_seen_at
        raw_status = body.get("status") or {}
        self.changes += 1
        self._sessions[key] = CachedSession(session, raw_status, first_seen_at)
        pool = session.metadata.labels.get(names.LABEL_POOL)
        if pool:
            self._pool_sessions[PoolKey(key.namespace, pool)].add(key)
        return key

    def drop_session(self, key: SessionKey, *, uid: str) -> None:
        """Forget a session that was deleted, and its pods that went before it."""
        known = self._sessions.get(key)
        self.changes += 1
        if known is not None and known.session.metadata.uid == uid:
            del self._sessions[key]
            pool = known.session.metadata.labels.get(names.LABEL_POOL)
            if pool:
                self._pool_sessions[PoolKey(key.namespace, pool)].discard(key)
        pods = self._pods.get(key)
        if pods is not None:
            for pod in [pod for pod in pods.values() if pod.gone and pod.owner_uid == uid]:
                del pods[pod.uid]
                self._by_uid.pop(pod.uid, None)
            if not pods:
                del self._pods[key]

    def bury_session(self, key: SessionKey, *, uid: str) -> None:
        """Forget a session that is certain never to come back: its deletion was seen or made."""
        self._gone_sessions[uid] = None
        if len(self._gone_sessions) > GONE_KEPT:
            del self._gone_sessions[next(iter(self._gone_sessions))]
        self.drop_session(key, uid=uid)

    def put_pool(self, body: Body) -> PoolKey | None:
        """Take over a pool's body; its key, or `None` where the body cannot be read."""
        pool = _read(StreamPool, body)
        if pool is None:
            return None
        known = self._pools.get(pool.key)
        if (
            known is None
            or known.pool.metadata.uid != pool.metadata.uid
            or not _is_older(pool.metadata.resource_version, known.pool)
        ):
            self._pools[pool.key] = CachedPool(pool, body.get("status") or {})
        return pool.key

    def drop_pool(self, key: PoolKey, *, uid: str) -> None:
        """Forget a pool that was deleted."""
        known = self._pools.get(key)
        if known is not None and known.pool.metadata.uid == uid:
            del self._pools[key]

    def pool(self, key: PoolKey) -> CachedPool | None:
        """The pool as it was last seen."""
        return self._pools.get(key)

    def pools(self) -> list[StreamPool]:
        """All pools."""
        return [known.pool for known in self._pools.values()]

    def pools_in(self, namespace: str) -> list[StreamPool]:
        """The pools of a namespace."""
        return [pool for pool in self.pools() if pool.metadata.namespace == namespace]

    def pool_pod_uids(self) -> set[str]:
        """UIDs of all pods with a pool's label."""
        return {uid for pods in self._pool_pods.values() for uid in pods}

    def warm_pods(self, namespace: str) -> list[PodFacts]:
        """Pods of a namespace that were started for a pool and are adopted by no session."""
        return [
            pod
            for key, pods in self._warm_pods.items()
            if key.namespace == namespace
            for pod in pods.values()
        ]

    def warm_pods_of_pool(self, key: PoolKey) -> tuple[PodFacts, ...]:
        """The same of one pool."""
        return tuple(self._warm_pods.get(key, {}).values())

    def session(self, key: SessionKey) -> CachedSession | None:
        """The session as it was last seen."""
        return self._sessions.get(key)

    def sessions(self) -> Iterator[CachedSession]:
        """All sessions."""
        return iter(self._sessions.values())

    def session_keys(self) -> list[SessionKey]:
        """Keys of all sessions."""
        return list(self._sessions)

    def put_pod(self, pod: PodFacts) -> Touched:
        """Take over a pod; whom it concerns.

        What is known already, because it was listed or written here, is no news to its session.
        """
        known = self._by_uid.get(pod.uid)
        if known == pod:
            return Touched(pool=_touched(pod).pool)
        if known is not None and (
            known.gone or _version(pod.resource_version) < _version(known.resource_version)
        ):
            return _touched(pod)
        self._place(pod)
        return _touched(pod)

    def drop_pod(self, pod: PodFacts) -> Touched:
        """A pod was deleted: keep its last state while the session that controls it is known."""
        key = SessionKey(pod.namespace, pod.session)
        known = self._sessions.get(key)
        if known is not None and known.session.metadata.uid == pod.owner_uid:
            self._place(dataclasses.replace(pod, gone=True))
        else:
            self._take_out(pod.uid)
        self.changes += 1
        return _touched(pod)

    def _place(self, pod: PodFacts) -> None:
        self._take_out(pod.uid)
        self._by_uid[pod.uid] = pod
        if pod.session:
            self._pods[SessionKey(pod.namespace, pod.session)][pod.uid] = pod
        if pod.pool and pod.role == names.ROLE_SESSION and not pod.gone:
            pool = PoolKey(pod.namespace, pod.pool)
            self._pool_pods[pool][pod.uid] = pod
            if pod.is_warm:
                self._warm_pods[pool][pod.uid] = pod
        self.changes += 1

    def _take_out(self, uid: str) -> None:
        """Remove a pod from wherever its former owner and labels put it."""
        known = self._by_uid.pop(uid, None)
        if known is not None:
            _discard(self._pods, SessionKey(known.namespace, known.session), uid=uid)
            pool = PoolKey(known.namespace, known.pool)
            _discard(self._pool_pods, pool, uid=uid)
            _discard(self._warm_pods, pool, uid=uid)

    def sessions_of_pool(self, key: PoolKey) -> list[StreamSession]:
        """Sessions that connections to the pool have made."""
        found = (self._sessions.get(item) for item in self._pool_sessions.get(key, ()))
        return [known.session for known in found if known is not None]

    def session_by_uid(self, uid: str, *, namespace: str, name: str) -> StreamSession | None:
        """The session of this name, where it has this UID."""
        known = self._sessions.get(SessionKey(namespace, name))
        return known.session if known and known.session.metadata.uid == uid else None

    def pods_of(self, session: StreamSession) -> tuple[PodFacts, ...]:
        """Pods that the session controls, with those that were deleted meanwhile."""
        pods = self._pods.get(session.key, {})
        return tuple(pod for pod in pods.values() if pod.owner_uid == session.metadata.uid)

    def pods_of_pool(self, key: PoolKey) -> tuple[PodFacts, ...]:
        """Session pods that carry the pool's label: waiting, in use and lingering ones."""
        return tuple(self._pool_pods.get(key, {}).values())

    def pool_size(self, key: PoolKey) -> int:
        """How many pods `pods_of_pool` has."""
        return len(self._pool_pods.get(key, {}))

    def forget(
        self,
        namespace: str,
        *,
        session_uids: Collection[str],
        pod_uids: Collection[str],
        pool_uids: Collection[str] = (),
    ) -> list[Touched]:
        """Drop objects that a fresh list no longer has; whom this concerns.

        kopf replaces a watch that was interrupted by a new list, and says nothing about objects
        that were deleted in between.
        """
        changed = [
            self.drop_pod(pod)
            for pod in self._all_pods(namespace)
            if pod.uid in pod_uids and not pod.gone
        ]
        for key, known in list(self._sessions.items()):
            uid = known.session.metadata.uid
            if key.namespace == namespace and uid in session_uids:
                self.drop_session(key, uid=uid)
                changed.append(Touched(session=key))
        for pool in [known.pool for known in self._pools.values()]:
            if pool.metadata.namespace == namespace and pool.metadata.uid in pool_uids:
                self.drop_pool(pool.key, uid=pool.metadata.uid)
                changed.append(Touched(pool=pool.key))
        return changed

    def uids(self, namespace: str) -> Uids:
        """UIDs of the sessions, pods and pools of a namespace that are known and exist."""
        return Uids(
            sessions={
                known.session.metadata.uid
                for key, known in self._sessions.items()
                if key.namespace == namespace
            },
            pods={pod.uid for pod in self._all_pods(namespace) if not pod.gone},
            pools={
                known.pool.metadata.uid
                for key, known in self._pools.items()
                if key.namespace == namespace
            },
        )

    def _all_pods(self, namespace: str) -> list[PodFacts]:
        """Pods of a namespace, each once."""
        return [pod for pod in self._by_uid.values() if pod.namespace == namespace]


def _touched(pod: PodFacts) -> Touched:
    return Touched(
        session=SessionKey(pod.namespace, pod.session) if pod.session else None,
        pool=PoolKey(pod.namespace, pod.pool) if pod.pool else None,
    )


def _discard(table: dict[_Key, dict[str, PodFacts]], key: _Key, *, uid: str) -> None:
    pods = table.get(key)
    if pods is not None:
        pods.pop(uid, None)
        if not pods:
            del table[key]


def _read(kind: type[_Object], body: Body) -> _Object | None:
    """Parse a body; one that cannot be read must not stop all others."""
    try:
        return kind.from_body(body)
    except msgspec.ValidationError as error:
        metadata = body.get("metadata") or {}
        logger.error(
            "%s cannot be read: CRD and operator differ in version",
            kind.__name__,
            extra={
                "namespace": metadata.get("namespace"),
                "session" if kind is StreamSession else "pool": metadata.get("name"),
                "cause": str(error),
            },
        )
        return None


def _is_same(body: Body, known: StreamSession) -> bool:
    """Whether a body is what is known already: lists and echoes of own writes mostly are."""
    metadata = body["metadata"]
    version: str = metadata.get("resourceVersion", "")
    is_version = bool(version) and version == known.metadata.resource_version
    return is_version and bool(metadata.get("uid") == known.metadata.uid)


def _is_older(version: str, known: StreamSession | StreamPool) -> bool:
    return _version(version) < _version(known.metadata.resource_version)


def _version(text: str) -> int:
    return int(text) if text.isdigit() else 0
