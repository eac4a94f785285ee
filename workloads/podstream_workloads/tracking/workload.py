"""The tracking workload as the agent runs it: a web application that many connect to.

Unlike the other workloads one pod serves many clients (docs/adr/0017-tracking.md): the gate counts
them by role, and every connection is joined to the application's unix socket.
"""

import asyncio
import logging
import shutil
import socket
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Final

from aiohttp import web

from podstream_core.agentapi import Protocol
from podstream_core.api import SessionSpec, Tracking, TrackingResults
from podstream_workloads.agent import (
    Connection,
    Joints,
    NotReady,
    SpecRejected,
    UnsupportedOffer,
    Workload,
    WorkloadContext,
    WorkloadResults,
)
from podstream_workloads.tracking.members.member import Member, TakesVideo

logger = logging.getLogger(__name__)

_LOOK_EVERY_S: Final = 1.0
"""Figures change with every box; the agent hears of them so often at most."""
_CLOSE_TIMEOUT_S: Final = 2.5
"""The agent gives all of `drain` 3 s."""


class TrackingWorkload(Workload):
    """Serves what `spec.tracking` names."""

    name: ClassVar[str] = "tracking"
    roles: ClassVar[Mapping[str, int]] = MappingProxyType(
        {"camera": 1, "client": 1, "device": 1, "publisher": 1, "caller": 1}
    )
    observers: ClassVar[frozenset[str]] = frozenset({"caller"})

    def __init__(self) -> None:
        self._member: Member | None = None
        self._joints: Joints | None = None
        self._runner: web.AppRunner | None = None
        self._folder: Path | None = None
        self._looking: asyncio.Task[None] | None = None

    async def configure(self, spec: SessionSpec, context: WorkloadContext) -> None:
        """Take the session."""
        if spec.tracking is None:
            raise SpecRejected("spec.tracking is not set")
        self._member = _member(spec.tracking, context)
        app = await self._member.open(context)
        if app is not None:
            await self._serve(app, context)
        self._looking = asyncio.create_task(self._look(self._member, context), name="figures")
        context.ready()

    async def _serve(self, app: web.Application, context: WorkloadContext) -> None:
        self._runner = web.AppRunner(
            app, access_log=None, handle_signals=False, shutdown_timeout=0.5
        )
        await self._runner.setup()
        # Paths of unix sockets are short (108 bytes), folders of sessions may be deep.
        self._folder = Path(tempfile.mkdtemp(prefix="tracking-"))
        path = self._folder / "http"
        await web.UnixSite(self._runner, path).start()
        self._joints = Joints(path, context=context)

    @property
    def is_finite(self) -> bool:
        """Where a video ends; otherwise it lasts until the last client has left."""
        return self._member is not None and self._member.is_finite

    @property
    def capacities(self) -> Mapping[str, int]:
        """As many as the spec says, by role."""
        return self.roles if self._member is None else self._member.capacities

    async def connect_stream(self, connection: Connection, *, sock: socket.socket) -> None:
        """Join a connection to the application."""
        if connection.protocol is not Protocol.HTTP:
            sock.close()
            raise UnsupportedOffer(f"workload tracking does not speak {connection.protocol}")
        if self._joints is None:
            sock.close()
            raise NotReady("the workload has no session yet")
        await self._joints.add(connection, sock)

    async def connect_whep(self, connection: Connection, *, offer_sdp: str) -> str:
        """Answer the offer of who publishes a camera's video."""
        if not isinstance(self._member, TakesVideo):
            raise UnsupportedOffer("only a session with spec.tracking.camera takes video")
        return await self._member.publish(connection.id, offer_sdp=offer_sdp)

    async def move_media(self, *, port: int, address: tuple[str, int]) -> bool:
        """Send a publisher's answers elsewhere."""
        return isinstance(self._member, TakesVideo) and self._member.redirect(port, address)

    async def disconnect(self, connection_id: str) -> None:
        """End a connection."""
        if isinstance(self._member, TakesVideo):
            await self._member.leave(connection_id)
        if self._joints is not None:
            await self._joints.end(connection_id)

    async def results(self) -> WorkloadResults:
        """The figures so far, and the files that are whole."""
        if self._member is None:
            return WorkloadResults(TrackingResults())
        return WorkloadResults(self._member.results(), self._member.artefacts)

    async def drain(self) -> None:
        """Say goodbye to everybody, write what is left, and end all connections."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])
        try:
            async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                if self._member is not None:
                    await self._member.close()
                if self._runner is not None:
                    await self._runner.cleanup()
        except TimeoutError:
            logger.warning("peers were cut off: they did not leave in time")
        if self._joints is not None:
            await self._joints.end_all()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    async def _look(self, member: Member, context: WorkloadContext) -> None:
        told = member.results()
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            figures = member.results()
            if member.has_worked:
                context.first_frame()
            if figures != told:
                told = figures
                context.results_changed()


def _member(spec: Tracking, context: WorkloadContext) -> Member:
    """What the pod is; only its own libraries are loaded.

    Raises:
        SpecRejected: the spec names nothing, or what cannot be.
    """
    if spec.orchestrator is not None:
        from podstream_workloads.tracking.members.site import SiteMember  # noqa: PLC0415

        return SiteMember(spec.orchestrator, volumes=context.volumes_dir, session=context.session)
    if spec.camera is not None:
        from podstream_workloads.tracking.members.camera import CameraMember  # noqa: PLC0415

        return CameraMember(spec.camera)
    if spec.edge is not None:
        from podstream_workloads.tracking.members.intruder import EdgeMember  # noqa: PLC0415

        return EdgeMember(spec.edge)
    if spec.recognition is not None:
        from podstream_workloads.tracking.members.intruder import CloudMember  # noqa: PLC0415

        return CloudMember(spec.recognition, volumes=context.volumes_dir)
    raise SpecRejected("spec.tracking names nothing: set one of its members")
