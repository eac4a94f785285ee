"""The orchestrator of a site: Tracktech's protocol over aiohttp.

Lives as long as its session. One task looks after all sockets and objects; each socket has its own
reading task, and a sending task only while it is behind. `open`, then serve `app()`, then `close`.
"""

import asyncio
import logging
import socket
from itertools import count
from typing import Final

from aiohttp import WSCloseCode, hdrs, web

from podstream_workloads.tracking.orchestrator.admission import Admission
from podstream_workloads.tracking.orchestrator.clock import Clock, SystemClock
from podstream_workloads.tracking.orchestrator.connection import Connection
from podstream_workloads.tracking.orchestrator.desk import ClientDesk, Desk, ProcessorDesk
from podstream_workloads.tracking.orchestrator.figures import OrchestratorFigures, TimelineFigures
from podstream_workloads.tracking.orchestrator.http import Answers, is_allowed_origin
from podstream_workloads.tracking.orchestrator.peer import Peer, Socket
from podstream_workloads.tracking.orchestrator.settings import OrchestratorSettings
from podstream_workloads.tracking.orchestrator.site import Site
from podstream_workloads.tracking.orchestrator.timelines.answers import iso, processor_name
from podstream_workloads.tracking.orchestrator.timelines.recorder import Recorder
from podstream_workloads.tracking.orchestrator.timelines.values import TimelineStore
from podstream_workloads.tracking.orchestrator.tokens import RoleCheck

logger = logging.getLogger(__name__)

_LOOK_EVERY_S: Final = 0.5
_LEAVE_WITHIN_S: Final = 2.0
# aiohttp switches keep-alive on; as it comes it begins after two hours. In seconds, and a count.
_KEEP_ALIVE: Final = (
    (socket.TCP_KEEPIDLE, 30),
    (socket.TCP_KEEPINTVL, 10),
    (socket.TCP_KEEPCNT, 3),
)


class Orchestrator:
    """One site's orchestrator."""

    def __init__(
        self,
        settings: OrchestratorSettings,
        *,
        store: TimelineStore,
        clock: Clock | None = None,
    ) -> None:
        """Prepare; nothing runs before `open`.

        Raises:
            ValueError: the public key of the settings is none.
        """
        self._settings = settings
        self._clock = clock or SystemClock()
        self._recorder = Recorder(store, clock=self._clock)
        self._site = Site(settings, clock=self._clock, recorder=self._recorder)
        self._checks = _checks(settings)
        self._peers: dict[Peer, None] = {}
        self._numbers = count(1)
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Take up what earlier runs have left, and begin to look after time.

        Raises:
            StoreError: the store cannot be opened.
        """
        self._site.restore(await self._recorder.open())
        self._task = asyncio.create_task(self._look_after_all(), name="orchestrator")

    async def close(self) -> None:
        """Say goodbye to all peers, write what is left, and let the store go."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        for peer in list(self._peers):
            peer.part(WSCloseCode.GOING_AWAY, "closing")
        waited = 0.0
        while self._peers and waited < _LEAVE_WITHIN_S:
            await asyncio.sleep(0.01)
            waited += 0.01
        for peer in list(self._peers):
            peer.abort()
        await self._recorder.close()

    def app(self) -> web.Application:
        """The web application: `/client`, `/processor`, `/timelines`, `/objectIds`."""
        app = web.Application()
        clients, processors = ClientDesk(self._site), ProcessorDesk(self._site)
        answers = Answers(
            self._settings,
            objects=self._site.objects,
            recorder=self._recorder,
            check=self._checks[ClientDesk.role],
        )

        async def client(request: web.Request) -> web.StreamResponse:
            return await self._serve(request, clients)

        async def processor(request: web.Request) -> web.StreamResponse:
            return await self._serve(request, processors)

        app.router.add_get("/client", client)
        app.router.add_get("/processor", processor)
        app.router.add_get("/timelines", answers.timelines)
        app.router.add_get("/objectIds", answers.object_ids)
        app.router.add_options("/timelines", answers.preflight)
        app.router.add_options("/objectIds", answers.preflight)
        return app

    def results(self) -> OrchestratorFigures:
        """Figures of this moment."""
        site = self._site
        summary = self._recorder.summary
        return OrchestratorFigures(
            cameras=len(site.processors),
            clients=len(site.clients),
            objects_live=len(site.objects.live),
            objects_ever=site.objects.last_number,
            boxes_in=site.boxes_in,
            boxes_out=site.boxes_out,
            dropped=site.dropped + sum(peer.dropped for peer in site.clients),
            trouble=self._recorder.trouble,
            timelines_total=summary.total,
            timelines=tuple(
                TimelineFigures(
                    object_id=line.number,
                    cameras=tuple(map(processor_name, line.cameras)),
                    intervals=line.intervals,
                    frames=line.frames,
                    first=iso(line.first_us),
                    last=iso(line.last_us),
                )
                for line in summary.lines()
            ),
        )

    def look_after(self) -> None:
        """End what is over by now: objects, tokens, stuck peers. Called twice a second."""
        self._site.expire()
        self._recorder.summary.forget_others(self._site.objects.live)
        now = self._clock.monotonic()
        for peer in list(self._peers):
            verdict = peer.admission.verdict()
            if verdict is not None:
                peer.part(*verdict)
            peer.look_after(now)

    async def _look_after_all(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            try:
                self.look_after()
            except Exception:
                logger.exception("looking after peers and objects failed")

    async def _serve(self, request: web.Request, desk: Desk) -> web.StreamResponse:
        settings = self._settings
        if not is_allowed_origin(request, settings.origins):
            raise web.HTTPForbidden(text="Origin not allowed")
        limits = settings.limits
        wire = Socket(
            heartbeat=None if settings.compat else limits.heartbeat_s,
            max_msg_size=limits.message_bytes + 1,  # aiohttp refuses from this size on
            compress=False,
        )
        writer = await wire.prepare(request)
        transport = request.transport
        if transport is None:
            return wire
        if settings.compat:
            _keep_alive(transport)
        admission = Admission(
            check=self._checks[desk.role],
            clock=self._clock,
            strict=not settings.compat,
            within_s=limits.authenticate_within_s,
        )
        peer = Peer(
            wire,
            writer=writer,
            transport=transport,
            admission=admission,
            name=f"{desk.role}-{next(self._numbers)}",
            limits=limits,
            now=self._clock.monotonic(),
        )
        self._peers[peer] = None
        logger.info("connected", extra={"peer": peer.name, "remote": request.remote})
        connection = Connection(peer, desk=desk, settings=settings, clock=self._clock)
        try:
            if admission.admitted:
                desk.admitted(peer)
            elif not settings.compat:
                connection.try_header(request.headers.get(hdrs.AUTHORIZATION))
            await connection.serve(wire)
        finally:
            self._site.leave(peer)
            del self._peers[peer]
            await peer.release()
            code = wire.close_code
            logger.info("disconnected", extra={"peer": peer.name, "code": code})
        return wire


def _keep_alive(transport: asyncio.Transport) -> None:
    """Let the kernel find out that a peer's machine is gone, where no pings are sent."""
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family in {socket.AF_INET, socket.AF_INET6}:
        for option, value in _KEEP_ALIVE:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def _checks(settings: OrchestratorSettings) -> dict[str, RoleCheck | None]:
    """The check of each endpoint; the two are independent."""
    auth = settings.auth
    if auth is None:
        return {ClientDesk.role: None, ProcessorDesk.role: None}
    roles = {ClientDesk.role: auth.client_role, ProcessorDesk.role: auth.processor_role}
    return {
        name: None
        if role is None
        else RoleCheck(public_key=auth.public_key, audience=auth.audience, role=role)
        for name, role in roles.items()
    }
