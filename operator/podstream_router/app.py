"""Wires the router together, runs it, and takes it down in order.

Shutdown: not ready, and nothing new is accepted; held connections are refused so that they go to
another replica; open ones, media with them, and sessions that are still to be created get the
drain timeout; then everything is closed. Media that another replica takes over meanwhile is not
waited for.
"""

import asyncio
import logging
import resource
import time
from contextlib import suppress
from functools import partial
from typing import Final, Protocol

import aiohttp
from aiohttp import web

from podstream_core.agentapi import MediaPath
from podstream_core.agentapi import Protocol as ClientProtocol
from podstream_core.tokens import PublicKeys
from podstream_router.admin import build_admin_app
from podstream_router.admission import Places, RateLimit
from podstream_router.advertise import Advertised
from podstream_router.agent import AgentClient, Transport
from podstream_router.claims import Claims, Demand, Recorder, Releases, SessionApi
from podstream_router.dashboard import Board, Copied, Dashboard, Parts, Sender
from podstream_router.downloads import DownloadHandler
from podstream_router.errors import PodFailed, TryAgain
from podstream_router.feeds import PodFeed, PoolFeed, SessionFeed
from podstream_router.flows import Flow, FlowLimits
from podstream_router.grpc import GrpcListener
from podstream_router.hints import Hints
from podstream_router.http import HttpServer, build_app
from podstream_router.keys import Keys
from podstream_router.listening import Desk, SocketListener
from podstream_router.logfields import about
from podstream_router.metrics import RouterMetrics
from podstream_router.offers import Offers
from podstream_router.operators import Operators
from podstream_router.passes import Passes
from podstream_router.peers import Moved, Seal, Sharing
from podstream_router.placement import Placement
from podstream_router.relay import MediaRelay
from podstream_router.results import ResultsHandler
from podstream_router.routes import PodRoute, RouteTable
from podstream_router.settings import ALL_NAMESPACES, Listener, Settings
from podstream_router.signalling import SignallingListener
from podstream_router.tcp import TcpListener
from podstream_router.tls import Certificate
from podstream_router.watch import ApiReader, Watch, pods_in, pools_in, sessions_in
from podstream_router.watching import WatchHandlers
from podstream_router.web import SitePaths, WebListener
from podstream_router.whep import WebRtcHandlers

logger = logging.getLogger(__name__)

RELEASE_S: Final = 2.0
"""At the end, for pods that have to be told that nobody uses them."""
_SPARE_FILES: Final = 256


class Api(ApiReader, SessionApi, Sender, Protocol):
    """What the router needs of the Kubernetes API."""


class Router:
    """All parts of one router process."""

    def __init__(
        self, settings: Settings, *, api: Api, keys: Keys, certificate: Certificate | None = None
    ) -> None:
        self._settings = settings
        self._certificate = certificate
        self._draining = False
        limits = settings.limits
        self.metrics = RouterMetrics()
        self.routes = RouteTable()
        self.board = Board()
        self.watches = _build_watches(
            settings, api=api, routes=self.routes, board=self.board, metrics=self.metrics
        )
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=10),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        url = settings.operator_url
        self._operators = Operators(self._http, url=url) if url else None
        self._hints = Hints(self._operators, metrics=self.metrics)
        self._demand = Demand(self._operators, router=settings.router_name)
        self._advertised = Advertised(settings.media_advertise)
        self._agent = AgentClient(
            Transport(self._http, signers=keys.signers, ports=settings.agent_ports)
        )
        self._releases = Releases(agent=self._agent, routes=self.routes)
        self._recorder = Recorder(
            api=api,
            routes=self.routes,
            releases=self._releases,
            hints=self._hints,
            metrics=self.metrics,
        )
        self._claims = Claims(
            routes=self.routes,
            agent=self._agent,
            recorder=self._recorder,
            releases=self._releases,
            demand=self._demand,
            signer=keys.client_signer,
            sessions_per_namespace=limits.sessions_per_namespace,
            router=settings.router_name,
            metrics=self.metrics,
        )
        self._placement = Placement(
            self.routes, hold_timeout_s=settings.hold_timeout_s, metrics=self.metrics
        )
        self._offers = Offers(agent=self._agent, advertised=self._advertised)
        self.sharing = Sharing(
            settings.peers,
            http=self._http,
            seal=Seal(keys.signers),
            move=self._move_media,
            max_flows=limits.flows,
            clock=asyncio.get_running_loop().time,
            about=self._about_flow,
        )
        self.relay = MediaRelay(
            find_pod=self._find_pod,
            limits=FlowLimits(
                total=limits.flows,
                per_source=limits.tentative_per_source,
                per_ufrag=limits.tentative_per_ufrag,
                per_pod=limits.tentative_per_pod,
                idle_s=settings.flow_idle_s,
            ),
            on_flow=self._on_flow,
            sharing=self.sharing,
        )
        self.sharing.attach(self.relay.flows)
        self.routes.on_pod_gone = self._on_pod_gone
        self._held = Places(total=limits.held, per_source=limits.connections_per_source)
        self._rate = RateLimit(per_second=limits.requests_per_second, clock=time.monotonic)
        app = build_app(cors_origin=settings.cors_origin)
        whep = self._add_webrtc(app, client_keys=keys.client)
        ResultsHandler(routes=self.routes, agent=self._agent, target=whep.target).add_to(app)
        passes = Passes(signer=keys.client_signer, keys=keys.client)
        self._dashboard = self._add_dashboard(app, api=api, keys=keys, passes=passes)
        self._streaming = Places(total=limits.connections, per_source=limits.connections_per_source)
        DownloadHandler(
            routes=self.routes,
            agent=self._agent,
            target=whep.target,
            passes=passes,
            places=self._streaming,
        ).add_to(app)
        self._server = HttpServer(app, max_connections=limits.connections)
        admin = build_admin_app(
            watches=self.watches,
            registry=self.metrics.registry,
            has_media_address=lambda: bool(self._advertised.addresses),
            is_draining=lambda: self._draining,
            has_asked_peers=lambda: self.sharing.group.has_asked,
        )
        self.sharing.add_to(admin)
        self._admin = HttpServer(admin, max_connections=limits.connections)
        self._client_keys = keys.client
        self._desk = Desk(
            routes=self.routes,
            placement=self._placement,
            claims=self._claims,
            agent=self._agent,
            held=self._held,
            hints=self._hints,
            metrics=self.metrics,
        )
        self._watching = WatchHandlers(
            self._desk, client_keys=keys.client, rate=self._rate, places=self._streaming
        )
        self._watching.add_to(app)
        self._sites = SitePaths(
            self._desk, client_keys=keys.client, rate=self._rate, places=self._streaming
        )
        self._sites.add_to(app)
        self._raw_listeners: list[SocketListener] = []
        self._sharing_task: asyncio.Task[None] | None = None
        self.ports: dict[str, int] = {}
        """Ports that are really bound, by listener name, with `admin` and `media`."""
        self._observe()

    def _add_dashboard(
        self, app: web.Application, *, api: Sender, keys: Keys, passes: Passes
    ) -> Dashboard:
        dashboard = Dashboard(
            Parts(
                board=self.board,
                routes=self.routes,
                agent=self._agent,
                api=api,
                client_keys=keys.client,
                passes=passes,
                hints=self._hints,
                settings=self._settings,
            )
        )
        dashboard.add_to(app)
        return dashboard

    def _observe(self) -> None:
        self.metrics.observe_routes(self.routes)
        self.metrics.observe_watches(self.watches, clock=time.monotonic)
        self.metrics.observe_relay(self.relay)
        self.metrics.registry.register(self.sharing.collector())
        self.metrics.pool_waiting.set_function(lambda: self._demand.total)
        self.metrics.unrecorded.set_function(lambda: self._recorder.open)
        self.metrics.open_connections.labels("HTTP").set_function(
            lambda: (
                self._server.open_connections
                + sum(
                    listener.open_connections
                    for listener in self._raw_listeners
                    if isinstance(listener, WebListener)
                )
            )
        )

    def _add_webrtc(self, app: web.Application, *, client_keys: PublicKeys) -> WebRtcHandlers:
        """Serve WHEP and WHIP; the handlers of WHEP."""
        whep, whip = (
            WebRtcHandlers(
                protocol,
                routes=self.routes,
                placement=self._placement,
                claims=self._claims,
                offers=self._offers,
                agent=self._agent,
                client_keys=client_keys,
                held=self._held,
                rate=self._rate,
                hints=self._hints,
                metrics=self.metrics,
            )
            for protocol in (ClientProtocol.WHEP, ClientProtocol.WHIP)
        )
        whep.add_to(app)
        whip.add_to(app)
        return whep

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set, then shut down in order.

        Raises:
            OSError: a port cannot be bound.
        """
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(watch.run()) for watch in self.watches]
            try:
                await self.start()
                tasks.append(group.create_task(self._hints.run()))
                tasks.append(group.create_task(self._demand.run()))
                tasks.append(group.create_task(self._advertised.run()))
                sharing = self.sharing.run(admin_port=self.ports["admin"])
                self._sharing_task = group.create_task(sharing)
                await stop.wait()
            finally:
                try:
                    await self.shutdown()
                finally:
                    for task in tasks:
                        task.cancel()

    async def start(self) -> None:
        """Open all ports.

        Raises:
            OSError: a port cannot be bound.
        """
        settings = self._settings
        _allow_open_files(settings.limits.flows + 2 * settings.limits.connections + _SPARE_FILES)
        host = settings.bind_address
        await self._admin.start()
        self.ports["admin"] = await self._admin.listen(host, settings.admin_port)
        await self._advertised.refresh()
        await self._server.start()
        self.relay.open(host, settings.media_port)
        self.ports["media"] = self.relay.port
        own = next((item for item in settings.listeners if item.protocol == "http"), None)
        for listener in settings.listeners:
            if listener is own:
                self.ports[listener.name] = await self._server.listen(host, listener.bind_port)
            else:
                opened = self._new_listener(listener)
                self._raw_listeners.append(opened)
                self.ports[listener.name] = await opened.listen(host, listener.bind_port)
        logger.info("router started", extra={"ports": self.ports})

    async def shutdown(self) -> None:
        """Stop accepting, drain up to the limit, close everything."""
        drain_s = self._settings.drain_timeout_s
        loop = asyncio.get_running_loop()
        deadline = loop.time() + drain_s
        logger.info("router is shutting down", extra={"drain_s": drain_s})
        self._draining = True
        self._server.stop_accepting()
        for listener in self._raw_listeners:
            listener.stop_accepting()
        self._placement.drain()
        self._watching.end()
        await self._sites.end()
        self._dashboard.close()
        closing = [self._server.close(drain_s=drain_s)]
        closing += [listener.close(drain_s=drain_s) for listener in self._raw_listeners]
        await asyncio.gather(*closing)
        with suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                await self.relay.idle.wait()
        self.relay.close()
        if self._sharing_task is not None:
            self._sharing_task.cancel()
        await self._offers.close()
        await self._claims.close()
        await self._recorder.close(deadline=deadline)
        await self._releases.close(timeout_s=RELEASE_S)
        await self._admin.close(drain_s=1)
        if self._operators is not None:
            await self._operators.close()
        await self._http.close()
        logger.info("router stopped")

    def _new_listener(self, listener: Listener) -> SocketListener:
        limits = self._settings.limits
        places = Places(total=limits.connections, per_source=limits.connections_per_source)
        match listener.protocol:
            case "grpc":
                return GrpcListener(
                    listener.name,
                    desk=self._desk,
                    open_places=places,
                    namespaces=self._settings.namespaces,
                    client_keys=self._client_keys,
                    certificate=self._certificate,
                )
            case "http":
                return WebListener(
                    listener.name,
                    desk=self._desk,
                    open_places=places,
                    certificate=self._certificate,
                )
            case "signalling":
                return SignallingListener(
                    listener.name,
                    desk=self._desk,
                    open_places=places,
                    advertised=self._advertised,
                )
            case _:
                return TcpListener(listener.name, desk=self._desk, open_places=places)

    def _find_pod(self, digest: str) -> tuple[str, str] | None:
        pod = self.routes.pod_by_digest(digest)
        return (pod.uid, pod.ip) if pod is not None else None

    def _about_flow(self, flow: Flow) -> dict[str, str]:
        """Fields of a log line about a flow."""
        pod = self.routes.pod(flow.pod_uid)
        if pod is None:
            return {"pod_uid": flow.pod_uid}
        if pod.session is None:
            return {"namespace": pod.namespace, "pod": pod.name}
        return about(pod.session, pod=pod)

    async def _move_media(self, flow: Flow) -> Moved:
        pod = self.routes.pod(flow.pod_uid)
        if pod is None or flow.local is None:
            return Moved.REFUSED
        address, port = flow.local
        path = MediaPath(port=flow.target[1], address=address, address_port=port)
        try:
            moved = await self._agent.move_media(pod, path=path)
        except (TryAgain, PodFailed):
            return Moved.UNREACHABLE
        return Moved.MOVED if moved else Moved.REFUSED

    def _on_flow(self, pod_uid: str) -> None:
        pod = self.routes.pod(pod_uid)
        if pod is not None and pod.session is not None:
            self._hints.send(pod.session)

    def _on_pod_gone(self, pod: PodRoute) -> None:
        self.relay.flows.close_pod(pod.uid)
        self._claims.forget_pod(pod)


def _build_watches(
    settings: Settings,
    *,
    api: ApiReader,
    routes: RouteTable,
    board: Board,
    metrics: RouterMetrics,
) -> list[Watch]:
    sessions = Copied(SessionFeed(routes), board=board, kind="session")
    pools = Copied(PoolFeed(routes), board=board, kind="pool")
    pods = PodFeed(routes)
    watches: list[Watch] = []
    for name in settings.namespaces:
        namespace = None if name == ALL_NAMESPACES else name
        for what, feed in (
            (sessions_in(namespace), sessions),
            (pools_in(namespace), pools),
            (pods_in(namespace), pods),
        ):
            count = partial(metrics.count_watch_restart, what.name)
            watches.append(Watch(what, api=api, feed=feed, clock=time.monotonic, on_restart=count))
    return watches


def _allow_open_files(wanted: int) -> None:
    """Raise the soft limit of file descriptors: each media flow needs one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    target = wanted if hard == unlimited else min(wanted, hard)
    if soft != unlimited and soft < target:
        resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
    if target < wanted:
        logger.warning(
            "the limit of open files is below what PODSTREAM_MAX_* may need",
            extra={"limit": target, "wanted": wanted},
        )
