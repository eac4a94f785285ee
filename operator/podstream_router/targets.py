"""What a path or a listener leads to, for a client with this credential."""

from dataclasses import dataclass, field

from podstream_core.api import PoolKey, SessionKey
from podstream_router.access import (
    Credential,
    authorise,
    authorise_connection,
    authorise_pool,
    authorise_view,
    holder_for,
    random_holder,
)
from podstream_router.errors import SessionEnded, UnknownPool, UnknownSession
from podstream_router.routes import (
    PoolRoute,
    RouteTable,
    SessionRoute,
    Topic,
    listener_topic,
    pool_topic,
)


@dataclass(frozen=True, slots=True)
class SessionTarget:
    """The session that a path names."""

    key: SessionKey
    credential: Credential | None
    routes: RouteTable
    anonymous_holder: str = field(default_factory=random_holder)

    @property
    def topic(self) -> Topic:
        """The session."""
        return self.key

    def find(self) -> SessionRoute:
        """The session, if the client may reach it.

        Raises:
            Refusal: it is gone, or not for this client.
        """
        session = self._existing()
        authorise(session, credential=self.credential)
        return session

    def find_for_connection(self) -> SessionRoute:
        """The session, if the client may change the connections whose URL it knows.

        Raises:
            Refusal: it is gone, or not for this client.
        """
        session = self._existing()
        pool = self.routes.pool(session.pool_key) if session.pool_key else None
        authorise_connection(session, credential=self.credential, pool=pool)
        return session

    def pass_over(self, session: SessionRoute) -> bool:
        """No other session has this name."""
        return False

    def holder(self, session: SessionRoute) -> str:
        """Who the client is; the same over all attempts."""
        return holder_for(session, credential=self.credential, anonymous=self.anonymous_holder)

    def _existing(self) -> SessionRoute:
        session = self.routes.session(self.key)
        if session is None:
            raise UnknownSession(f"there is no session {self.key}: kubectl get streamsessions")
        return session


@dataclass(frozen=True, slots=True)
class ViewTarget(SessionTarget):
    """The session that a viewer names."""

    def find(self) -> SessionRoute:
        """The session, if the client may look on.

        Raises:
            Refusal: it is gone, or not for this client.
        """
        session = self._existing()
        authorise_view(session, credential=self.credential)
        return session

    def find_for_connection(self) -> SessionRoute:
        """The same: who looks on changes nothing but what it has the URL of."""
        return self.find()

    def holder(self, session: SessionRoute) -> str:
        """Nobody else: everybody who looks on with one token is a viewer of his own."""
        return self.anonymous_holder


@dataclass(frozen=True, slots=True)
class PoolTarget:
    """The pool that a path names: a new session of it, or the one whose token the client shows."""

    key: PoolKey
    credential: Credential | None
    routes: RouteTable

    @property
    def topic(self) -> Topic:
        """The pool and its sessions."""
        return pool_topic(self.key)

    def own_session(self) -> SessionRoute | None:
        """The session of this pool whose token the client shows."""
        if self.credential is None:
            return None
        session = self.routes.session_by_subject(self.credential.subject)
        return session if session is not None and session.pool_key == self.key else None

    def find(self) -> SessionRoute | PoolRoute:
        """The client's own session, or the pool.

        Raises:
            Refusal: the pool is gone, or not for this client.
        """
        session = self.own_session()
        if session is not None and session.ended:
            raise SessionEnded(f"{session.ended}: its token opens no new session of the pool")
        if session is not None:
            return session
        pool = self.routes.pool(self.key)
        if pool is None:
            raise UnknownPool(f"there is no pool {self.key}: kubectl get streampools")
        if pool.ended:
            raise UnknownPool(f"{pool.ended}: pool {self.key} takes no more connections")
        authorise_pool(pool, credential=self.credential)
        return pool

    def pass_over(self, session: SessionRoute) -> bool:
        """Who shows a session's token gets that session, or none."""
        return False

    @property
    def is_session_expected(self) -> bool:
        """Whether the client shows the token of a session that the watch may not have shown."""
        if self.credential is None:
            return False
        pool = self.routes.pool(self.key)
        return pool is None or self.credential.subject != pool.uid


@dataclass(slots=True)
class ListenerTarget:
    """What a listener leads to: the oldest session that names it, else the oldest pool."""

    listener: str
    routes: RouteTable
    _over: set[str] = field(default_factory=set)
    """Sessions whose pod says that they are over, ahead of the watch."""

    @property
    def topic(self) -> Topic:
        """The listener."""
        return listener_topic(self.listener)

    def find(self) -> SessionRoute | PoolRoute | None:
        """The session that is next on this listener, or the pool that feeds on it."""
        session = self.routes.session_for_listener(self.listener, excluded=self._over)
        return session or self.routes.pool_for_listener(self.listener)

    def pass_over(self, session: SessionRoute) -> bool:
        """The next session on this listener may be waiting for just this client."""
        self._over.add(session.uid)
        return True
