"""Owns the route table: which session, listener or ICE fragment leads to which pod.

The table has no I/O and no clock. It is fed by the watches and read by every connection, all in
one event loop, so each method is one atomic step: a reader never sees half of a relist. A pod that
died or is terminating is not in it.
"""

from collections import defaultdict
from collections.abc import Callable, Container, Hashable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from podstream_core.api import SessionKey
from podstream_core.ufrag import pod_digest

ANY_NAMESPACE: Final = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRoute:
    """What the router needs to know of a StreamSession."""

    key: SessionKey
    uid: str
    created: datetime
    public: bool
    """Whether clients come without a token."""
    workloads: tuple[str, ...] = ()
    listeners: tuple[str, ...] = ()
    phase: str = ""
    ended: str = ""
    """Why no connection is taken any more, as a sentence; empty while the session lives."""
    results: bytes = b""
    """JSON of `status.results`, for clients that ask after the pod has gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodRoute:
    """A running session pod."""

    namespace: str
    name: str
    uid: str
    ip: str
    session: SessionKey
    session_uid: str
    created: datetime


Topic = Hashable
"""What a waiter waits for: a `SessionKey`, or `listener_topic(name)`."""


def listener_topic(name: str) -> Topic:
    """Changes of the sessions that name this listener."""
    return ("listener", name)


class _Wakeup:
    """One subscription; compared by identity, so equal callbacks stay apart."""

    __slots__ = ("notify",)

    def __init__(self, notify: Callable[[], None]) -> None:
        self.notify = notify


class RouteTable:
    """Sessions by key and listener, pods by session and by ICE digest."""

    def __init__(self) -> None:
        self._sessions: dict[SessionKey, SessionRoute] = {}
        self._by_listener: defaultdict[str, set[SessionKey]] = defaultdict(set)
        self._pods: dict[str, PodRoute] = {}
        self._pods_by_session: defaultdict[str, dict[str, PodRoute]] = defaultdict(dict)
        self._pods_by_digest: dict[str, PodRoute] = {}
        self._waiters: defaultdict[Topic, set[_Wakeup]] = defaultdict(set)
        self.on_pod_gone: Callable[[PodRoute], None] = lambda _pod: None
        """Called for every pod that leaves the table."""

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
        candidates = [
            session
            for key in self._by_listener.get(name, ())
            if not (session := self._sessions[key]).ended
            and session.public
            and session.uid not in excluded
        ]
        return min(candidates, key=lambda item: (item.created, item.key), default=None)

    def pod_for(self, session_uid: str) -> PodRoute | None:
        """The newest running pod of a session."""
        pods = self._pods_by_session.get(session_uid, {}).values()
        return max(pods, key=lambda pod: (pod.created, pod.name), default=None)

    def pod_by_digest(self, digest: str) -> PodRoute | None:
        """The pod that an ICE user name fragment names."""
        return self._pods_by_digest.get(digest)

    def pod(self, uid: str) -> PodRoute | None:
        """The pod with this UID."""
        return self._pods.get(uid)

    @property
    def session_count(self) -> int:
        """Sessions in the table."""
        return len(self._sessions)

    @property
    def pod_count(self) -> int:
        """Running pods in the table."""
        return len(self._pods)

    # -- waiting ---------------------------------------------------------------------------------

    @contextmanager
    def subscribed(self, topic: Topic, notify: Callable[[], None]) -> Iterator[None]:
        """Call `notify` on every change of a topic while the block runs."""
        wakeup = _Wakeup(notify)
        self._waiters[topic].add(wakeup)
        try:
            yield
        finally:
            waiters = self._waiters[topic]
            waiters.discard(wakeup)
            if not waiters:
                del self._waiters[topic]

    def _announce(self, topics: Iterable[Topic]) -> None:
        for topic in set(topics):
            for waiter in tuple(self._waiters.get(topic, ())):
                waiter.notify()

    # -- writing ---------------------------------------------------------------------------------

    def upsert_session(self, session: SessionRoute) -> None:
        """Add or replace a session."""
        self._announce(self._put_session(session))

    def remove_session(self, key: SessionKey) -> None:
        """Forget a session."""
        self._announce(self._drop_session(key))

    def replace_sessions(self, namespace: str | None, sessions: Iterable[SessionRoute]) -> None:
        """Replace all sessions of a namespace, or of all namespaces, in one step."""
        fresh = {session.key: session for session in sessions}
        stale = [
            key
            for key in self._sessions
            if namespace in (ANY_NAMESPACE, key.namespace) and key not in fresh
        ]
        topics: set[Topic] = set()
        for key in stale:
            topics |= self._drop_session(key)
        for session in fresh.values():
            topics |= self._put_session(session)
        self._announce(topics)

    def upsert_pod(self, pod: PodRoute) -> None:
        """Add or replace a running pod."""
        self._announce(self._put_pod(pod))

    def remove_pod(self, uid: str) -> None:
        """Forget a pod at once; its media flows end."""
        self._announce(self._drop_pod(uid))

    def replace_pods(self, namespace: str | None, pods: Iterable[PodRoute]) -> None:
        """Replace all pods of a namespace, or of all namespaces, in one step."""
        fresh = {pod.uid: pod for pod in pods}
        stale = [
            pod.uid
            for pod in self._pods.values()
            if namespace in (ANY_NAMESPACE, pod.namespace) and pod.uid not in fresh
        ]
        topics: set[Topic] = set()
        for uid in stale:
            topics |= self._drop_pod(uid)
        for pod in fresh.values():
            topics |= self._put_pod(pod)
        self._announce(topics)

    def _put_session(self, session: SessionRoute) -> set[Topic]:
        topics = self._drop_session(session.key)
        self._sessions[session.key] = session
        for name in session.listeners:
            self._by_listener[name].add(session.key)
        return topics | self._topics_of(session.key)

    def _drop_session(self, key: SessionKey) -> set[Topic]:
        topics = self._topics_of(key)
        old = self._sessions.pop(key, None)
        for name in old.listeners if old else ():
            self._by_listener[name].discard(key)
            if not self._by_listener[name]:
                del self._by_listener[name]
        return topics

    def _put_pod(self, pod: PodRoute) -> set[Topic]:
        old = self._pods.get(pod.uid)
        if old == pod:
            return set()
        topics: set[Topic] = set()
        if old is not None:
            # An adopted or re-addressed pod: its flows lead nowhere, so it leaves first.
            topics = self._drop_pod(pod.uid)
        self._pods[pod.uid] = pod
        self._pods_by_session[pod.session_uid][pod.uid] = pod
        self._pods_by_digest[pod_digest(pod.uid)] = pod
        return topics | self._topics_of(pod.session)

    def _drop_pod(self, uid: str) -> set[Topic]:
        pod = self._pods.pop(uid, None)
        if pod is None:
            return set()
        siblings = self._pods_by_session[pod.session_uid]
        siblings.pop(uid, None)
        if not siblings:
            del self._pods_by_session[pod.session_uid]
        self._pods_by_digest.pop(pod_digest(uid), None)
        self.on_pod_gone(pod)
        return self._topics_of(pod.session)

    def _topics_of(self, key: SessionKey) -> set[Topic]:
        session = self._sessions.get(key)
        listeners = session.listeners if session else ()
        return {key, *(listener_topic(name) for name in listeners)}
