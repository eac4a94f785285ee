"""Regular lists: what the watches have missed, what belongs to nobody, whether watches live.

kopf delivers events and swallows interruptions; an own list now and then finds objects that were
deleted in between, pods whose session is gone, and a watch that looks alive but delivers nothing.
What was deleted before kopf began to watch, or while its watch was broken, no event tells: a list
follows soon after the start and after every list of kopf's own.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Collection, Iterable, Set
from contextlib import suppress
from typing import Final

from podstream_core import names
from podstream_core.api import Phase, SessionKey
from podstream_operator.clock import Clock
from podstream_operator.cluster import Body, Cache, KubeClient, Touched, Uids
from podstream_operator.errors import ApiError, ApiRejected, ConfigError
from podstream_operator.facts import PodFacts, SecretFacts
from podstream_operator.resources.names import session_secret_name
from podstream_operator.watchdog import WatchDog

logger = logging.getLogger(__name__)

_START_ATTEMPTS: Final = 30
_START_PAUSE_S: Final = 1.0
SETTLE_S: Final = 0.5
"""kopf lists in parts, and every object in them asks for the same list of ours: it waits so long
for silence."""
_MAX_SETTLES: Final = 10
_EARLY_RETRY_S: Final = 5.0
_JITTER: Final = 0.2
_WAITING: Final = frozenset({None, Phase.PENDING, Phase.STARTING})


class Resync:
    """Lists every namespace at start and then at intervals."""

    def __init__(
        self,
        *,
        kube: KubeClient,
        cache: Cache,
        clock: Clock,
        watchdog: WatchDog,
        namespaces: Collection[str],
        interval_s: float,
        touch: Callable[[Touched], None],
        look: Callable[[SessionKey], None],
        after: Callable[[], None] = lambda: None,
    ) -> None:
        self._kube = kube
        self._cache = cache
        self._clock = clock
        self._watchdog = watchdog
        self._namespaces = tuple(namespaces)
        self._interval_s = interval_s
        self._touch = touch
        self._look = look
        self._after = after
        self._wanted = asyncio.Event()
        self._wanted.set()
        self._is_loaded = False
        """Whether everything was looked at once; from then on what a list brings is news."""

    def want(self) -> None:
        """List soon: a watch has begun, or begun again, and is silent on what went before."""
        self._wanted.set()

    async def load(self) -> None:
        """Fill the cache before anything is decided.

        Raises:
            ConfigError: the API server refuses the lists, or does not answer for half a minute.
        """
        for attempt in range(1, _START_ATTEMPTS + 1):
            try:
                await self.run_once()
            except ApiRejected as error:
                raise ConfigError(f"the operator's Role does not fit: {error}") from error
            except ApiError as error:
                if attempt == _START_ATTEMPTS:
                    raise ConfigError(f"the API server does not answer: {error}") from error
                logger.warning("first list failed", extra={"cause": str(error)})
                await asyncio.sleep(_START_PAUSE_S)
            else:
                self._is_loaded = True
                return

    async def run(self) -> None:
        """List at intervals, and when it is wanted, until cancelled."""
        while True:
            spread = 1 + _JITTER * (random.random() - 0.5)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._interval_s * spread):
                    await self._wanted.wait()
            is_early = self._wanted.is_set()
            try:
                if is_early:
                    await self._settle()
                    # What kopf's list has brought is known; only what is missing is news.
                    await self.find_missing()
                else:
                    await self.run_once()
            except ApiError as error:
                logger.warning("resync failed", extra={"cause": str(error)})
                if is_early:
                    await asyncio.sleep(_EARLY_RETRY_S)
                    self._wanted.set()

    async def _settle(self) -> None:
        for _ in range(_MAX_SETTLES):
            self._wanted.clear()
            await asyncio.sleep(SETTLE_S)
            if not self._wanted.is_set():
                return

    async def run_once(self) -> None:
        """List all namespaces once, and have a routine look at every session and pool.

        Whoever is not served yet goes first: after a restart thousands may be well.
        """
        for namespace in self._namespaces:
            await self._resync(namespace)
        self._after()
        for session in [known.session for known in self._cache.sessions()]:
            if session.status.phase in _WAITING:
                self._touch(Touched(session=session.key))
            else:
                self._look(session.key)
        for pool in self._cache.pools():
            self._touch(Touched(pool=pool.key))

    async def find_missing(self) -> None:
        """Look which objects exist, and make due whom one has left.

        What the objects say is not looked at: their metadata is read, and nothing of them is kept.
        """
        for namespace in self._namespaces:
            before = self._cache.uids(namespace)
            # Pods first: whoever owns a listed pod is older than the lists of owners.
            pods, pools, sessions = [
                {uid async for body in listed for uid in _version_by_uid(body)}
                for listed in (
                    self._kube.list_pods(namespace, metadata_only=True),
                    self._kube.list_pools(namespace, metadata_only=True),
                    self._kube.list_sessions(namespace, metadata_only=True),
                )
            ]
            self._forget(namespace, before, sessions=sessions, pods=pods, pools=pools)
        self._after()

    async def _resync(self, namespace: str) -> None:
        before = self._cache.uids(namespace)
        # Pods first: whoever owns a listed pod is older than the lists of owners.
        pods = [PodFacts.from_body(body) async for body in self._kube.list_pods(namespace)]
        # Bodies are not kept: thousands of them are what takes memory.
        pools: dict[str, str] = {}
        async for body in self._kube.list_pools(namespace):
            self._cache.put_pool(body)
            pools |= _version_by_uid(body)
        sessions: dict[str, str] = {}
        # Made due at once: the rest of the list may fail, and to the watch it is no news any more.
        async for body in self._kube.list_sessions(namespace):
            self._tell(Touched(session=self._cache.put_session(body, now=self._clock.now())))
            sessions |= _version_by_uid(body)
        for pod in pods:
            self._tell(self._cache.put_pod(pod))
        self._forget(
            namespace,
            before,
            sessions=sessions.keys(),
            pods={pod.uid for pod in pods},
            pools=pools.keys(),
        )
        self._watch_for_lag(
            namespace,
            session=sessions.values(),
            pod=[pod.resource_version for pod in pods],
            pool=pools.values(),
        )
        owners = sessions.keys() | pools.keys()
        await self._collect_orphans(namespace, pods=pods, owner_uids=owners)

    def _tell(self, touched: Touched) -> None:
        if self._is_loaded:
            self._touch(touched)

    def _forget(
        self,
        namespace: str,
        before: Uids,
        *,
        sessions: Set[str],
        pods: Set[str],
        pools: Set[str],
    ) -> None:
        """Drop from the cache what was there before a list and is not in it."""
        missing = self._cache.forget(
            namespace,
            session_uids=before.sessions - sessions,
            pod_uids=before.pods - pods,
            pool_uids=before.pools - pools,
        )
        for touched in missing:
            self._touch(touched)

    def _watch_for_lag(self, namespace: str, **versions: Iterable[str]) -> None:
        now = time.monotonic()
        for kind, listed in versions.items():
            self._watchdog.listed(kind, namespace=namespace, versions=listed, now=now)

    async def _collect_orphans(
        self, namespace: str, *, pods: list[PodFacts], owner_uids: set[str]
    ) -> None:
        """Delete what the garbage collector does not: children that have lost their owner.

        That is what `kubectl delete --cascade=orphan` leaves behind. Secrets are not listed (the
        Role does not allow it); the one of an orphaned pod's session is found by its name.
        """
        orphans = [
            pod for pod in pods if pod.managed and pod.exists and pod.owner_uid not in owner_uids
        ]
        for pod in orphans:
            logger.info(
                "orphaned pod is deleted",
                extra={"namespace": namespace, "session": pod.session, "pod": pod.name},
            )
            await self._kube.delete_pod(namespace, pod.name, uid=pod.uid)
        owners = {pod.session for pod in orphans if pod.role == names.ROLE_SESSION}
        for name in owners - {""}:
            body = await self._kube.get_secret(namespace, session_secret_name(name))
            if body is None:
                continue
            secret = SecretFacts.from_body(body)
            if secret.managed and secret.owner_uid not in owner_uids:
                await self._kube.delete_secret(namespace, secret.name, uid=secret.uid)


def _version_by_uid(body: Body) -> dict[str, str]:
    metadata = body["metadata"]
    return {metadata["uid"]: metadata.get("resourceVersion", "")}
