"""The operator as one object: what it is made of, in which order it starts and stops.

Start: serve HTTP, check the API, and wait for the Lease: up to here any number of operators may
run. The one that leads lists everything, starts workers, then lets kopf watch.
Stop (SIGTERM, SIGINT): kopf ends its watches, the workers are cancelled where they stand, the Lease
is released, the HTTP server closes, then the connections. Nothing has to be saved: the next leader
reads it all again.
"""

import asyncio
import logging
import time
from collections.abc import Coroutine
from typing import Any, Final, cast

import kopf

from podstream_core.api import PoolKey, SessionKey
from podstream_operator.agents import AgentClient
from podstream_operator.clock import Clock
from podstream_operator.cluster import Cache, KubeClient, Touched
from podstream_operator.errors import ApiUnavailable, ConfigError, LeadershipLost
from podstream_operator.events import EventPoster
from podstream_operator.handlers import EventSink, LoginHandler, build_registry, build_settings
from podstream_operator.http import Demand, OperatorHttp
from podstream_operator.keys import Keys
from podstream_operator.leader import Elector, Fence
from podstream_operator.metrics import Metrics
from podstream_operator.poller import poll
from podstream_operator.pools.capacity import Capacity
from podstream_operator.pools.demand import DemandBook
from podstream_operator.pools.offers import Offers
from podstream_operator.pools.reconcile import PoolReconciler
from podstream_operator.pools.secret import PoolSecrets
from podstream_operator.pools.view import WarmView
from podstream_operator.reconcile import Reconciler
from podstream_operator.resources import SessionImage
from podstream_operator.resync import Resync
from podstream_operator.settings import OperatorSettings
from podstream_operator.stopping import stopped_by_signals, unless
from podstream_operator.watchdog import STALLED_AFTER_S, WatchDog
from podstream_operator.workqueue import WorkQueue

logger = logging.getLogger(__name__)

POOL_WORKERS: Final = 4
"""Pools that are reconciled at the same time."""
WORKER_STALLED_AFTER_S: Final = 120.0
"""A reconcile's calls all have timeouts of seconds: a worker that takes longer hangs."""


class Operator:
    """One operator process."""

    def __init__(
        self,
        settings: OperatorSettings,
        *,
        keys: Keys,
        kube: KubeClient,
        agents: AgentClient,
        metrics: Metrics,
        clock: Clock,
        fence: Fence,
        login: LoginHandler,
    ) -> None:
        self._settings = settings
        self._kube = kube
        self._agents = agents
        self._serves = False
        self._loaded = False
        self.elector = Elector(
            kube,
            namespace=settings.namespace,
            name=settings.lease_name,
            identity=settings.lease_identity,
            timing=settings.lease_timing,
            fence=fence,
            clock=clock,
        )
        metrics.observe_leader(self.elector.leads)
        self.cache = Cache()
        self.watchdog = WatchDog()
        self._events = EventPoster(kube, instance=settings.instance, metrics=metrics)
        image = SessionImage(
            image=settings.session_image,
            tracking_image=settings.tracking_image or settings.session_image,
            router_url=settings.site.cluster_url,
            pull_policy=settings.session_image_pull_policy,
            requests=settings.session_requests,
            limits=settings.session_limits,
            public_keys=keys.public_jwks,
            log_level=settings.log_level,
            log_format=settings.log_format,
        )
        warm, self._demand = WarmView(), DemandBook()
        capacity = Capacity(cache=self.cache, warm=warm, clock=clock)
        self._reconciler = Reconciler(
            cache=self.cache,
            kube=kube,
            agents=agents,
            warm=warm,
            capacity=capacity,
            offers=Offers(
                cache=self.cache,
                warm=warm,
                image=image,
                capacity=capacity,
                max_sessions_per_namespace=settings.max_sessions_per_namespace,
            ),
            events=self._events,
            metrics=metrics,
            clock=clock,
            image=image,
            site=settings.site,
            keys=keys,
        )
        self._pool_reconciler = PoolReconciler(
            cache=self.cache,
            kube=kube,
            agents=agents,
            warm=warm,
            demand=self._demand,
            capacity=capacity,
            secrets=PoolSecrets(kube=kube, clock=clock, client_key=keys.client),
            metrics=metrics,
            clock=clock,
            image=image,
            site=settings.site,
            max_starting=settings.pool_max_starting,
            wake=self._wake_unplaced,
            touch=self._touch,
        )
        self.queue: WorkQueue[SessionKey] = WorkQueue(
            self._reconciler.reconcile,
            workers=settings.workers,
            on_result=metrics.reconciled,
            about=lambda key: {"namespace": key.namespace, "session": key.name},
        )
        self.pool_queue: WorkQueue[PoolKey] = WorkQueue(
            self._pool_reconciler.reconcile,
            workers=POOL_WORKERS,
            about=lambda key: {"namespace": key.namespace, "pool": key.name},
        )
        metrics.observe_state(
            queue=self.queue,
            sessions=lambda: (known.session for known in self.cache.sessions()),
            pools=self.cache.pools,
            watch_behind_s=lambda: self.watchdog.behind_s(now=time.monotonic()),
        )
        self.pool_memories = self._pool_reconciler.memories
        self.resync = Resync(
            kube=kube,
            cache=self.cache,
            clock=clock,
            watchdog=self.watchdog,
            namespaces=settings.namespaces,
            interval_s=settings.resync_seconds,
            touch=self._touch,
            look=self.queue.add_routine,
            after=self._forget_absent,
        )
        self._http = OperatorHttp(
            live=self._what_is_dead,
            ready=self._what_is_missing,
            leads=lambda: self._loaded and self.elector.leads(),
            metrics=metrics.render,
            knows=lambda key: self.cache.session(key) is not None,
            hint=self.queue.add,
            demand=self._take_demand,
        )
        self._registry = build_registry(
            EventSink(
                cache=self.cache,
                clock=clock,
                metrics=metrics,
                watchdog=self.watchdog,
                touch=self._touch,
                listed=self.resync.want,
            ),
            login=login,
            cleanup=self._shut_down,
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._failure: BaseException | None = None
        self.http_port = settings.http_port
        """Port of the HTTP server; the real one once it runs."""

    async def run(self, *, stop: asyncio.Event | None = None) -> None:
        """Run until a signal comes or `stop` is set. Closes its clients at the end.

        Raises:
            ConfigError: the cluster does not serve StreamSession, or refuses the first list.
            LeadershipLost: another operator leads now, or may.
        """
        stop = stop or asyncio.Event()
        try:
            self.http_port = await self._http.start(
                host=self._settings.http_host, port=self._settings.http_port
            )
            with stopped_by_signals(stop):
                if await unless(stop, self._stand_by()):
                    await self._lead(stop)
        except asyncio.CancelledError:
            if self._failure is None:
                raise
            if isinstance(self._failure, LeadershipLost):
                raise self._failure from None
            raise RuntimeError("background work died") from self._failure
        finally:
            await self._shut_down()
        logger.info("operator stopped")

    async def _stand_by(self) -> None:
        """Return once this process leads."""
        while not await self._check_api():  # noqa: ASYNC110 - nobody tells when the API is back
            await asyncio.sleep(self._settings.lease_timing.retry_period_s)
        self._serves = True
        await self.elector.acquire()

    async def _lead(self, stop: asyncio.Event) -> None:
        """Work until told to stop, or until the Lease is lost."""
        # kopf cancels at its end what was started after it: ours is started before.
        self._start_background(lease=self.elector.hold())
        if not await unless(stop, self.resync.load()):
            return
        self._loaded = True
        self._start_background(
            queue=self.queue.run(),
            pools=self.pool_queue.run(),
            resync=self.resync.run(),
            poller=poll(self._reconciler.live, enqueue=self.queue.add_routine),
            events=self._events.run(),
        )
        logger.info(
            "operator runs",
            extra={
                "namespaces": ",".join(self._settings.namespaces),
                "sessions": len(self.cache),
                "http_port": self.http_port,
            },
        )
        await kopf.operator(
            registry=self._registry,
            settings=build_settings(),
            namespaces=self._settings.namespaces,
            standalone=True,
            # Detecting one asks the password database, which has no entry in a container.
            identity=cast(Any, self._settings.instance),
            stop_flag=stop,
        )

    async def _check_api(self) -> bool:
        """Whether the API server answers.

        Raises:
            ConfigError: it does not serve StreamSession.
        """
        try:
            served = await self._kube.has_sessions_api()
        except ApiUnavailable as error:
            logger.warning("the API server does not answer", extra={"cause": str(error)})
            return False
        if not served:
            raise ConfigError(
                "the cluster does not serve streamsessions and streampools of podstream.dev with "
                "their status: apply the CRDs first (kubectl apply --server-side -f crds/)"
            )
        return True

    def _start_background(self, **works: Coroutine[Any, Any, None]) -> None:
        """Start what runs as long as the operator leads; the end of one is the end of all."""
        main = asyncio.current_task()
        assert main is not None

        def on_done(task: asyncio.Task[None]) -> None:
            if not task.cancelled():
                self._failure = task.exception() or RuntimeError(f"{task.get_name()} ended")
                if not isinstance(self._failure, LeadershipLost):
                    logger.error("background work died", exc_info=self._failure)
                main.cancel()

        for name, work in works.items():
            task = asyncio.create_task(work, name=name)
            task.add_done_callback(on_done)
            self._tasks.append(task)

    async def _shut_down(self) -> None:
        """Stop working, hand over, stop listening, close the clients. May be called twice."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.elector.release()
        await self._http.stop()
        await self._agents.close()
        await self._kube.close()

    def _touch(self, touched: Touched) -> None:
        """Make due whom a change concerns."""
        if touched.session is not None:
            self.queue.add(touched.session)
        if touched.pool is not None and self.cache.pool(touched.pool) is not None:
            self.pool_queue.add_after(touched.pool, self._pool_reconciler.rest_s(touched.pool))

    def _wake_unplaced(self, namespace: str) -> None:
        """A pool has a pod, or room for one: sessions may have waited for just that."""
        for key in self._reconciler.unplaced(namespace):
            self.queue.add(key)

    def _take_demand(self, demand: Demand) -> bool:
        if self.cache.pool(demand.key) is None:
            return False
        changed = self._demand.note(
            demand.key, router=demand.router, waiting=demand.waiting, now=time.monotonic()
        )
        if changed:
            self.pool_queue.add(demand.key)
        return True

    def _forget_absent(self) -> None:
        self._reconciler.forget_absent()
        self._pool_reconciler.forget_absent()

    def _what_is_dead(self) -> str | None:
        """Liveness. Answering at all shows that the loop turns."""
        stalled_s = max(self.queue.stalled_s(), self.pool_queue.stalled_s())
        if self._loaded and stalled_s > WORKER_STALLED_AFTER_S:
            return f"a worker has not turned for {stalled_s:.0f} s"
        behind_s = self.watchdog.behind_s(now=time.monotonic())
        if behind_s > STALLED_AFTER_S:
            return f"a watch has been missing what lists show for {behind_s:.0f} s"
        return None

    def _what_is_missing(self) -> str | None:
        """Readiness. A replica that could take over at any moment is ready."""
        if not self._serves or not self.elector.has_looked:
            return "the API server has not answered yet"
        if self.elector.leads() and not self._loaded:
            return "the first lists are not complete"
        return None
