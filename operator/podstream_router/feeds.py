"""Carries what the watches see into the route table."""

import logging
from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

import msgspec

from podstream_core.api import PoolKey
from podstream_router.objects import read_identity, read_pod, read_pool, read_session
from podstream_router.routes import PodRoute, PoolRoute, RouteTable, SessionRoute

logger = logging.getLogger(__name__)

_T = TypeVar("_T")


class Feed(Protocol):
    """Receives one resource's objects from a watch."""

    def replace(self, namespace: str | None, objects: Iterable[msgspec.Raw]) -> None:
        """Take a complete list; objects that are not in it are gone."""

    def apply(self, event: str, body: msgspec.Raw) -> None:
        """Take one event: ADDED, MODIFIED or DELETED."""


class SessionFeed:
    """StreamSessions."""

    def __init__(self, routes: RouteTable) -> None:
        self._routes = routes

    def replace(self, namespace: str | None, objects: Iterable[msgspec.Raw]) -> None:
        """Replace all sessions of a namespace."""
        read: list[SessionRoute] = _readable(objects, read_session)
        self._routes.replace_sessions(namespace, read)

    def apply(self, event: str, body: msgspec.Raw) -> None:
        """Add, change or remove one session."""
        key, _ = read_identity(body)
        if event == "DELETED":
            self._routes.remove_session(key)
            return
        for session in _readable([body], read_session):
            self._routes.upsert_session(session)


class PoolFeed:
    """StreamPools."""

    def __init__(self, routes: RouteTable) -> None:
        self._routes = routes

    def replace(self, namespace: str | None, objects: Iterable[msgspec.Raw]) -> None:
        """Replace all pools of a namespace."""
        read: list[PoolRoute] = _readable(objects, read_pool)
        self._routes.replace_pools(namespace, read)

    def apply(self, event: str, body: msgspec.Raw) -> None:
        """Add, change or remove one pool."""
        key, _ = read_identity(body)
        if event == "DELETED":
            self._routes.remove_pool(PoolKey(*key))
            return
        for pool in _readable([body], read_pool):
            self._routes.upsert_pool(pool)


class PodFeed:
    """Session pods."""

    def __init__(self, routes: RouteTable) -> None:
        self._routes = routes

    def replace(self, namespace: str | None, objects: Iterable[msgspec.Raw]) -> None:
        """Replace all pods of a namespace."""
        pods: list[PodRoute | None] = _readable(objects, read_pod)
        self._routes.replace_pods(namespace, [pod for pod in pods if pod is not None])

    def apply(self, event: str, body: msgspec.Raw) -> None:
        """Add, change or remove one pod."""
        _, uid = read_identity(body)
        pod = None if event == "DELETED" else next(iter(_readable([body], read_pod)), None)
        if pod is None:
            self._routes.remove_pod(uid)
        else:
            self._routes.upsert_pod(pod)


def _readable(objects: Iterable[msgspec.Raw], read: Callable[[msgspec.Raw], _T]) -> list[_T]:
    """Decode what can be decoded: one odd object must not stop all other routes."""
    found: list[_T] = []
    for body in objects:
        try:
            found.append(read(body))
        except msgspec.DecodeError as error:
            logger.warning("object ignored: it cannot be read", extra={"cause": str(error)})
    return found
