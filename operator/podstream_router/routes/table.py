"""Owns the route table: which session, pool, listener or ICE fragment leads to which pod.

The table has no I/O and no clock. It is fed by the watches and read by every connection, all in
one event loop, so each method is one atomic step: a reader never sees half of a relist. A pod that
died or is terminating is not in it.
"""

from collections.abc import Callable, Collection, Container, Iterable
from contextlib import AbstractContextManager
from typing import Final

from podstream_core.api import PoolKey, SessionKey
from podstream_router.routes.pods import Pods
from podstream_router.routes.pools import Pools
from podstream_router.routes.sessions import Sessions
from podstream_router.routes.topics import Topic, Waiters, pool_topic
from podstream_router.routes.values import PodRoute, PoolRoute, SessionRoute

ANY_NAMESPACE: Final = None


class RouteTable:
    """Sessions, pools and pods, and who waits for a change of them."""

    def __init__(self) -> None:
        self._sessions = Sessions()
        self._pools = Pools()
        self._pods = Pods(on_gone=self._on_gone)
        self._waiters = Waiters()
        self.on_pod_gone: Callable[[PodRoute], None] = lambda _pod: None
        """Called for every running pod that leaves the table, stops, or changes its address."""

    # -- reading ---------------------------------------------------------------------------------

    def session(self, key: SessionKey) -> SessionRoute | None:
        """The session of this name."""
        return self._sessions.get(key)

    def session_for_listener(
        self, name: str, *, excluded: Container[str] = frozenset()
    ) -> SessionRoute | None:
        """The oldest Public session that names this listener and has not ended.

        Args:
            name: Name of the listener.
            excluded: UIDs of sessions that are known to have ended, ahead of the watch.
        """
        return self._sessions.for_listener(name, excluded=excluded)

    def session_by_subject(self, subject: str) -> SessionRoute | None:
        """The session that a client token with this subject opens."""
        return self._sessions.by_subject(subject)

    def sessions_of_pool(self, pool: PoolKey) -> Collection[SessionRoute]:
        """The sessions of a pool's connections, ended ones too."""
        return self._sessions.of_pool(pool)

    def living_sessions(self, namespace: str) -> int:
        """Sessions of a namespace that have not ended."""
        return self._sessions.living_in(namespace)

    def pool(self, key: PoolKey) -> PoolRoute | None:
        """The pool of this name."""
        return self._pools.get(key)

    def pool_for_listener(self, name: str) -> PoolRoute | None:
        """The oldest Public pool that names this listener and is not being deleted."""
        return self._pools.for_listener(name)

    def pods_of_pool(self, pool: PoolKey) -> Collection[PodRoute]:
        """Pods that were started for a pool, in every state but ended."""
        return self._pods.of_pool(pool)

    def pods_of_owner(self, uid: str) -> Collection[PodRoute]:
        """Pods whose controller is the session or pool with this UID, in every state but ended."""
        return self._pods.of_owner(uid)

    def pod_for(self, session: SessionRoute) -> PodRoute | None:
        """The newest running pod of a session, also before the operator has adopted it."""
        return self._pods.of_session(session)

    def pod_by_digest(self, digest: str) -> PodRoute | None:
        """The running pod that an ICE user name fragment names."""
        return self._pods.by_digest(digest)

    def pod(self, uid: str) -> PodRoute | None:
        """The running pod with this UID."""
        return self._pods.get(uid)

    @property
    def session_count(self) -> int:
        """Sessions that the watch has shown."""
        return len(self._sessions)

    @property
    def pool_count(self) -> int:
        """Pools in the table."""
        return len(self._pools)

    @property
    def pod_count(self) -> int:
        """Running pods in the table."""
        return self._pods.running

    # -- waiting ---------------------------------------------------------------------------------

    def subscribed(self, topic: Topic, notify: Callable[[], None]) -> AbstractContextManager[None]:
        """Call `notify` on every change of a topic while the block runs."""
        return self._waiters.subscribed(topic, notify)

    # -- writing ---------------------------------------------------------------------------------

    def upsert_session(self, session: SessionRoute) -> None:
        """Add or replace a session."""
        self._waiters.announce(self._sessions.put(session))

    def remove_session(self, key: SessionKey) -> None:
        """Forget a session."""
        self._waiters.announce(self._sessions.drop(key))

    def replace_sessions(self, namespace: str | None, sessions: Iterable[SessionRoute]) -> None:
        """Replace all sessions of a namespace, or of all namespaces, in one step."""
        fresh = {session.key: session for session in sessions}
        topics: set[Topic] = set()
        for key in self._sessions.keys_in(namespace):
            if key not in fresh:
                topics |= self._sessions.drop(key)
        for session in fresh.values():
            topics |= self._sessions.put(session)
        self._waiters.announce(topics)

    def add_provisional(self, session: SessionRoute) -> None:
        """Add a session that this router is about to create; the watch's own takes its place."""
        self._waiters.announce(self._sessions.put_provisional(session))

    def remove_provisional(self, key: SessionKey) -> None:
        """Forget a session that was added ahead of the watch and has not been shown by it."""
        self._waiters.announce(self._sessions.drop_provisional(key))

    def upsert_pool(self, pool: PoolRoute) -> None:
        """Add or replace a pool."""
        self._waiters.announce(self._pools.put(pool))

    def remove_pool(self, key: PoolKey) -> None:
        """Forget a pool."""
        self._waiters.announce(self._pools.drop(key))

    def replace_pools(self, namespace: str | None, pools: Iterable[PoolRoute]) -> None:
        """Replace all pools of a namespace, or of all namespaces, in one step."""
        fresh = {pool.key: pool for pool in pools}
        topics: set[Topic] = set()
        for key in self._pools.keys_in(namespace):
            if key not in fresh:
                topics |= self._pools.drop(key)
        for pool in fresh.values():
            topics |= self._pools.put(pool)
        self._waiters.announce(topics)

    def upsert_pod(self, pod: PodRoute) -> None:
        """Add or replace a pod that has not ended; adoption leaves its media flows alone."""
        self._waiters.announce(self._put_pod(pod))

    def remove_pod(self, uid: str) -> None:
        """Forget a pod at once; its media flows end."""
        self._waiters.announce(self._drop_pod(uid))

    def replace_pods(self, namespace: str | None, pods: Iterable[PodRoute]) -> None:
        """Replace all pods of a namespace, or of all namespaces, in one step."""
        fresh = {pod.uid: pod for pod in pods}
        topics: set[Topic] = set()
        for uid in self._pods.uids_in(namespace):
            if uid not in fresh:
                topics |= self._drop_pod(uid)
        for pod in fresh.values():
            topics |= self._put_pod(pod)
        self._waiters.announce(topics)

    def _on_gone(self, pod: PodRoute) -> None:
        self.on_pod_gone(pod)

    def _put_pod(self, pod: PodRoute) -> set[Topic]:
        old = self._pods.put(pod)
        if old == pod:
            return set()
        return self._topics_of(pod) | (self._topics_of(old) if old is not None else set())

    def _drop_pod(self, uid: str) -> set[Topic]:
        pod = self._pods.drop(uid)
        if pod is None:
            return set()
        return self._topics_of(pod) | self._sessions.drop_provisional_of(uid)

    def _topics_of(self, pod: PodRoute) -> set[Topic]:
        topics = set() if pod.session is None else self._sessions.topics_of(pod.session)
        return topics | {pool_topic(pod.pool_key)} if pod.pool_key else topics
