"""The server program: the circle workload behind a TCP socket, one client after the other."""

import asyncio
import functools
import logging
import socket
import tempfile
import uuid
from pathlib import Path

from podstream_core.agentapi import Protocol, SessionRef
from podstream_core.api import Ball, Circle, Codec, SessionSpec
from podstream_core.ports import MEDIA_PORT_COUNT, MEDIA_PORT_FIRST
from podstream_workloads.agent import Connection, MediaAddress, WorkloadContext
from podstream_workloads.circle.score import Scored
from podstream_workloads.circle.standalone.display import Window
from podstream_workloads.circle.standalone.options import ServerOptions
from podstream_workloads.circle.standalone.program import Program
from podstream_workloads.circle.standalone.view import draw_server_view
from podstream_workloads.circle.workload import CircleWorkload

logger = logging.getLogger(__name__)


class ServerProgram(Program):
    """Listens, serves a client until it leaves, and listens anew with the ball at the start.

    Further clients wait in the socket's backlog for their turn.
    """

    def __init__(self, options: ServerOptions, *, window: Window | None) -> None:
        self._options = options
        self._listener: socket.socket | None = None
        self._window = window

    async def run(self) -> int:
        """Serve until it is told to stop."""
        options = self._options
        loop = asyncio.get_running_loop()
        family, _, _, _, address = (
            await loop.getaddrinfo(options.host, options.port, type=socket.SOCK_STREAM)
        )[0]
        self._listener = socket.create_server(
            (address[0], options.port), family=socket.AddressFamily(family), backlog=16
        )
        self._listener.setblocking(False)
        logger.info("listening on %s:%d", options.host, options.port)
        while True:
            client, peer = await loop.sock_accept(self._listener)
            logger.info("client %s:%s", *peer[:2])
            client.setblocking(False)
            await self._serve(client)

    async def shutdown(self) -> None:
        """Close the listening socket."""
        if self._listener is not None:
            self._listener.close()

    async def _serve(self, client: socket.socket) -> None:
        options = self._options
        spec = SessionSpec(
            circle=Circle(
                width=options.width,
                height=options.height,
                codec=Codec.VP8,
                ball=Ball(radius=options.radius, speed=options.velocity, motion="Fixed"),
                log_estimates=True,
            )
        )
        workload = CircleWorkload(on_scored=self._show)
        with tempfile.TemporaryDirectory(prefix="podstream-circle-") as folder:
            context = _Alone(Path(folder), host=client.getsockname()[0])
            await workload.configure(spec, context)
            connection = Connection(
                id=uuid.uuid4().hex, role="player", protocol=Protocol.SIGNALLING
            )
            try:
                await workload.connect_stream(connection, sock=client)
                await context.over.wait()
            finally:
                await workload.drain()

    def _show(self, scored: Scored) -> None:
        if self._window is None:
            return
        options = self._options
        self._window.show(
            functools.partial(
                draw_server_view,
                (options.width, options.height),
                radius=options.radius,
                truth=(scored.truth.x, scored.truth.y),
                estimate=(scored.x, scored.y),
            )
        )


class _Alone(WorkloadContext):
    """The way to an agent that is not there: only the end of the connection matters."""

    def __init__(self, folder: Path, *, host: str) -> None:
        uid = str(uuid.uuid4())
        self.session = SessionRef(namespace="local", name="circle", uid=uid)
        self.media = MediaAddress(
            pod_uid=uid, host=host, first_port=MEDIA_PORT_FIRST, port_count=MEDIA_PORT_COUNT
        )
        self.artefact_dir = folder
        self.volumes_dir = folder
        self.over = asyncio.Event()

    def ready(self) -> None:
        """Nobody to tell."""

    def established(self, connection_id: str) -> None:
        """Nobody to tell."""

    def lost(self, connection_id: str, *, reason: str = "") -> None:
        """The client has left."""
        logger.info("client left: %s", reason)
        self.over.set()

    def first_frame(self) -> None:
        """Nobody to tell."""

    def results_changed(self) -> None:
        """Nobody to tell."""

    def done(self) -> None:
        """Never finite."""

    def fail(self, reason: str, message: str) -> None:
        """The workload cannot go on with this client."""
        logger.error("%s: %s", reason, message)
        self.over.set()
