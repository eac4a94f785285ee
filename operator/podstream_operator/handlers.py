"""kopf's handlers and settings: events change the cache and make a key due, nothing else.

Only `on.event` is used. It adds no finalizer and no annotation to any object, so a session can be
deleted while the operator is down, and it costs no API write.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

import kopf

from podstream_core import names
from podstream_core.api import PoolKey, SessionKey
from podstream_operator.clock import Clock
from podstream_operator.cluster import Cache, Touched
from podstream_operator.cluster.aio_client import LIST_PART
from podstream_operator.facts import PodFacts
from podstream_operator.metrics import Metrics
from podstream_operator.watchdog import WatchDog

logger = logging.getLogger(__name__)

DELETED: Final = "DELETED"
EVENT_TASK_IDLE_S: Final = 0.5
"""A new object's events come in a row, a session's next ones seconds or minutes later."""
LoginHandler = Callable[..., kopf.ConnectionInfo | None]


class NoDifference(kopf.DiffBaseStorage):
    """Keeps nothing to compare objects with: only handlers of changes would ask for it.

    kopf copies every object in full at every event otherwise, which with thousands of pods was a
    tenth of this process's time.
    """

    def build(
        self,
        *,
        body: kopf.Body,
        extra_fields: Iterable[kopf.FieldSpec] | None = None,
    ) -> kopf.BodyEssence:
        """Nothing of the object."""
        return kopf.BodyEssence()

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:
        """Nothing was kept."""
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        """Nothing is kept, so no object is written to."""


class EventSink:
    """Takes what the watches deliver."""

    def __init__(
        self,
        *,
        cache: Cache,
        clock: Clock,
        metrics: Metrics,
        watchdog: WatchDog,
        touch: Callable[[Touched], None],
        listed: Callable[[], None],
    ) -> None:
        """Make a sink.

        Args:
            cache: takes the objects.
            clock: for the moment a session was first seen.
            metrics: counts events.
            watchdog: learns that a watch delivers.
            touch: makes due whom an event concerns.
            listed: told that kopf lists instead of watching; what it does not list any more, it
                does not name.
        """
        self._listed = listed
        self._cache = cache
        self._clock = clock
        self._metrics = metrics
        self._watchdog = watchdog
        self._touch = touch

    def session_event(self, kind: str | None, body: dict[str, Any]) -> None:
        """A StreamSession appeared, changed or went; `kind` is `None` for kopf's first list."""
        self._seen("session", kind=kind, body=body)
        if kind == DELETED:
            metadata = body["metadata"]
            key = SessionKey(metadata["namespace"], metadata["name"])
            self._cache.bury_session(key, uid=metadata["uid"])
            self._touch(Touched(pool=_pool_of(body)))
            return
        changed = self._cache.put_session(body, now=self._clock.now())
        self._touch(Touched(session=changed, pool=_pool_of(body)))

    def pool_event(self, kind: str | None, body: dict[str, Any]) -> None:
        """A StreamPool appeared, changed or went."""
        self._seen("pool", kind=kind, body=body)
        metadata = body["metadata"]
        key = PoolKey(metadata["namespace"], metadata["name"])
        if kind == DELETED:
            self._cache.drop_pool(key, uid=metadata["uid"])
        else:
            self._cache.put_pool(body)
        self._touch(Touched(pool=key))

    def pod_event(self, kind: str | None, body: dict[str, Any]) -> None:
        """A pod of a session, a client or a pool appeared, changed or went."""
        self._seen("pod", kind=kind, body=body)
        pod = PodFacts.from_body(body)
        put = self._cache.drop_pod if kind == DELETED else self._cache.put_pod
        self._touch(put(pod))

    def _seen(self, name: str, *, kind: str | None, body: dict[str, Any]) -> None:
        self._metrics.watch_event(name)
        self._watchdog.watched(name, body=body)
        if kind is None:
            self._listed()


def _pool_of(session: dict[str, Any]) -> PoolKey | None:
    """The pool that a session counts for, where it counts for one."""
    metadata = session["metadata"]
    reference = (session.get("spec") or {}).get("poolRef") or {}
    name = reference.get("name") or (metadata.get("labels") or {}).get(names.LABEL_POOL)
    return PoolKey(metadata["namespace"], str(name)) if name else None


def build_registry(
    sink: EventSink, *, login: LoginHandler, cleanup: Callable[[], Awaitable[None]]
) -> kopf.OperatorRegistry:
    """Handlers in a registry of their own.

    Args:
        sink: takes the events.
        login: finds the API server and the credentials for it.
        cleanup: runs when the watches have ended, before kopf waits (5 s) for all tasks that
            began after it, which the open connections of an HTTP server are.
    """
    registry = kopf.OperatorRegistry()

    @kopf.on.cleanup(registry=registry)
    async def _cleanup(**_: Any) -> None:
        await cleanup()

    @kopf.on.login(registry=registry)
    def _login(**kwargs: Any) -> kopf.ConnectionInfo | None:
        return login(**kwargs)

    @kopf.on.event(names.GROUP, names.VERSION, names.SESSION_PLURAL, registry=registry)
    async def _on_session(*, event: Any, **_: Any) -> None:
        sink.session_event(event["type"], dict(event["object"]))

    @kopf.on.event(names.GROUP, names.VERSION, names.POOL_PLURAL, registry=registry)
    async def _on_pool(*, event: Any, **_: Any) -> None:
        sink.pool_event(event["type"], dict(event["object"]))

    @kopf.on.event("", "v1", "pods", labels={names.LABEL_ROLE: kopf.PRESENT}, registry=registry)
    async def _on_pod(*, event: Any, **_: Any) -> None:
        sink.pod_event(event["type"], dict(event["object"]))

    return registry


def build_settings() -> kopf.OperatorSettings:
    """Settings of the shell; kopf's own defaults wait for minutes on a network that is gone."""
    settings = kopf.OperatorSettings()
    # Scanning watches CRDs and namespaces, which would need cluster-wide rights.
    settings.scanning.disabled = True
    settings.posting.enabled = False
    settings.posting.loggers = False
    settings.peering.standalone = True
    # kopf keeps a task for every object with an event until it has been silent for the idle time:
    # a limit L admits L / idle time new objects a second, whatever the handlers take (5 s and 100
    # were seen to hold a burst of 20 sessions a second back). Ours return at once.
    settings.queueing.worker_limit = None
    settings.persistence.diffbase_storage = NoDifference()
    settings.queueing.idle_timeout = EVENT_TASK_IDLE_S
    settings.networking.connect_timeout = 10
    settings.networking.request_timeout = 30
    settings.watching.connect_timeout = 10
    settings.watching.server_timeout = 600
    settings.watching.client_timeout = 660
    settings.watching.chunk_size = LIST_PART
    # Pods of others never reach this process.
    settings.watching.label_selectors["", "v1", "pods"] = names.LABEL_ROLE
    settings.process.ultimate_exiting_timeout = 20
    return settings
