"""Sessions by key, listener, pool and token subject."""

from collections.abc import Collection, Container
from dataclasses import replace

from podstream_core.api import PoolKey, SessionKey
from podstream_router.routes.index import Index
from podstream_router.routes.topics import Topic, listener_topic, pool_topic
from podstream_router.routes.values import SessionRoute


class Sessions:
    """Sessions that the watch has shown, and those that this router has made ahead of it."""

    def __init__(self) -> None:
        self._watched: dict[SessionKey, SessionRoute] = {}
        self._provisional: dict[SessionKey, SessionRoute] = {}
        self._by_listener: Index[str, SessionKey, SessionRoute] = Index()
        self._by_pool: Index[PoolKey, SessionKey, SessionRoute] = Index()
        self._by_subject: Index[str, SessionKey, SessionRoute] = Index()

    def __len__(self) -> int:
        return len(self._watched)

    def get(self, key: SessionKey) -> SessionRoute | None:
        """The session of this name."""
        return self._watched.get(key) or self._provisional.get(key)

    def for_listener(self, name: str, *, excluded: Container[str]) -> SessionRoute | None:
        """The oldest Public session that names this listener and has not ended."""
        candidates = [
            session
            for session in self._by_listener.get(name).values()
            if not session.ended and session.public and session.uid not in excluded
        ]
        return min(candidates, key=lambda item: (item.created, item.key), default=None)

    def by_subject(self, subject: str) -> SessionRoute | None:
        """The session that a client token with this subject opens."""
        found = self._by_subject.get(subject).values()
        # Two sessions can only share a subject where somebody has copied an annotation by hand.
        return min(found, key=lambda item: (item.created, item.key), default=None)

    def of_pool(self, pool: PoolKey) -> Collection[SessionRoute]:
        """The sessions of a pool's connections, ended ones too."""
        return self._by_pool.get(pool).values()

    def living_in(self, namespace: str) -> int:
        """Sessions of a namespace that have not ended."""
        everything = (*self._watched.values(), *self._provisional.values())
        return sum(1 for item in everything if item.key.namespace == namespace and not item.ended)

    def keys_in(self, namespace: str | None) -> list[SessionKey]:
        """Sessions of a namespace, or of all, that the watch has shown."""
        return [key for key in self._watched if namespace in (None, key.namespace)]

    def put(self, session: SessionRoute) -> set[Topic]:
        """Add or replace a session; return what has changed."""
        old = self.get(session.key)
        if old is not None and _is_same(old, session) and not session.client_address:
            # The status names the source seconds later; limits per source must not wait for it.
            session = replace(session, client_address=old.client_address)
        topics = self.drop(session.key) | self.drop_provisional(session.key)
        self._watched[session.key] = session
        self._index(session)
        return topics | _topics_of(session)

    def drop(self, key: SessionKey) -> set[Topic]:
        """Forget a session that the watch has shown; return what has changed."""
        old = self._watched.pop(key, None)
        return {key} if old is None else self._unindex(old)

    def put_provisional(self, session: SessionRoute) -> set[Topic]:
        """Add a session ahead of the watch; return what has changed."""
        if session.key in self._watched:
            return set()
        self._provisional[session.key] = session
        self._index(session)
        return _topics_of(session)

    def drop_provisional(self, key: SessionKey) -> set[Topic]:
        """Forget a session that was added ahead of the watch; return what has changed."""
        old = self._provisional.pop(key, None)
        return set() if old is None else self._unindex(old)

    def drop_provisional_of(self, pod_uid: str) -> set[Topic]:
        """Forget what was added ahead of the watch for a pod that is gone; return what changed."""
        gone = [
            session.key
            for session in self._provisional.values()
            if session.assigned is not None and session.assigned.pod_uid == pod_uid
        ]
        topics: set[Topic] = set()
        for key in gone:
            topics |= self.drop_provisional(key)
        return topics

    def topics_of(self, key: SessionKey) -> set[Topic]:
        """What a change of this session concerns."""
        session = self.get(key)
        return {key} if session is None else _topics_of(session)

    def _index(self, session: SessionRoute) -> None:
        self._by_listener.put(session.listeners, session.key, session)
        self._by_subject.put(session.subjects, session.key, session)
        if session.pool_key:
            self._by_pool.put([session.pool_key], session.key, session)

    def _unindex(self, session: SessionRoute) -> set[Topic]:
        self._by_listener.drop(session.listeners, session.key)
        self._by_subject.drop(session.subjects, session.key)
        if session.pool_key:
            self._by_pool.drop([session.pool_key], session.key)
        return _topics_of(session)


def _is_same(old: SessionRoute, new: SessionRoute) -> bool:
    """Whether both are one session, under its UID or under its assignment's id."""
    return bool(set(old.subjects) & set(new.subjects))


def _topics_of(session: SessionRoute) -> set[Topic]:
    topics = {session.key, *(listener_topic(name) for name in session.listeners)}
    return topics | {pool_topic(session.pool_key)} if session.pool_key else topics
