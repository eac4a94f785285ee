"""The image operations workload as the agent runs it: one caller's connection, many calls on it.

The gRPC library cannot take over a connection that somebody else has accepted, so each one that
arrives is joined to its server's unix socket.
"""

import asyncio
import contextlib
import logging
import shutil
import socket
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Final

import msgspec

from podstream_core import names
from podstream_core.agentapi import Protocol
from podstream_core.api import ImageBatch, ImageOpsResults, ImageStream, SessionSpec, Stream
from podstream_workloads.agent import (
    Artefact,
    Connection,
    Joints,
    NotReady,
    SpecRejected,
    UnsupportedOffer,
    Workload,
    WorkloadContext,
    WorkloadResults,
)
from podstream_workloads.imageops.limits import ServiceLimits
from podstream_workloads.imageops.service.batch import (
    TABLE_NAME,
    BatchError,
    BatchFolders,
    BatchRun,
)
from podstream_workloads.imageops.service.server import ImageServer, keep_freed_memory
from podstream_workloads.imageops.statistics import Statistics
from podstream_workloads.imageops.streaming.chain import plan
from podstream_workloads.imageops.streaming.runner import StreamOperations
from podstream_workloads.imageops.workers.pool import PoolClosed

logger = logging.getLogger(__name__)

_CLOSE_TIMEOUT_S: Final = 2.0
_PICTURE_NAME: Final = "frame.png"
"""Artefact: the last frame of the stream after the operations."""


class ImageOpsWorkload(Workload):
    """Serves one caller at a time."""

    name: ClassVar[str] = "imageOps"
    roles: ClassVar[Mapping[str, int]] = MappingProxyType({"caller": 1})

    def __init__(self) -> None:
        self._context: WorkloadContext | None = None
        self._server: ImageServer | None = None
        self._statistics: Statistics | None = None
        self._folder: Path | None = None
        self._joints: Joints | None = None
        self._has_news = False
        self._batch: BatchRun | None = None
        self._batch_task: asyncio.Task[None] | None = None
        self._table: Path | None = None
        self._frames: StreamOperations | None = None
        self._picture: Path | None = None

    async def configure(self, spec: SessionSpec, context: WorkloadContext) -> None:
        """Take the session: start workers and services, which takes about a second."""
        image_ops = spec.image_ops
        if image_ops is None:
            raise SpecRejected("spec.imageOps is not set")
        loop = asyncio.get_running_loop()
        keep_freed_memory()
        self._context = context

        def tell() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
                loop.call_soon_threadsafe(self._figures_changed)

        self._statistics = Statistics(on_change=tell)
        # Paths of unix sockets are short (108 bytes), folders of sessions may be deep.
        self._folder = Path(tempfile.mkdtemp(prefix="image-"))
        server = ImageServer(ServiceLimits.of(image_ops), statistics=self._statistics)
        self._server = server
        try:
            await asyncio.to_thread(server.open, f"unix:{self._socket_path}")
        except (PoolClosed, RuntimeError, OSError) as error:
            raise SpecRejected(f"the image server cannot be started: {error}") from error
        self._joints = Joints(self._socket_path, context=context)
        if not server.pool.is_confined:
            logger.warning("no filter of system calls for decoders on this machine")
        if image_ops.batch is not None:
            table = context.artefact_dir / TABLE_NAME
            try:
                self._batch = await asyncio.to_thread(
                    BatchRun,
                    image_ops.batch,
                    folders=_folders(image_ops.batch, volumes=context.volumes_dir),
                    engine=server.engine,
                    table=table,
                    on_change=tell,
                )
            except BatchError as error:
                raise SpecRejected(str(error)) from error
            work = self._work_through(self._batch, table, context)
            self._batch_task = asyncio.create_task(work, name="image-batch")
        if image_ops.stream is None or spec.stream is None:
            context.ready()
            return
        self._frames = self._make_frames(image_ops.stream, spec.stream, context)
        self._frames.start()

    @property
    def is_finite(self) -> bool:
        """With a batch, which ends; otherwise a session lasts until its caller leaves."""
        return self._batch is not None

    async def connect_stream(self, connection: Connection, *, sock: socket.socket) -> None:
        """Join a caller's connection to the server."""
        if connection.protocol is not Protocol.GRPC:
            sock.close()
            raise UnsupportedOffer(f"workload imageOps does not speak {connection.protocol}")
        if self._joints is None:
            sock.close()
            raise NotReady("the workload has no session yet")
        await self._joints.add(connection, sock)

    async def disconnect(self, connection_id: str) -> None:
        """End a caller's connection; calls that run on it are cancelled."""
        if self._joints is not None:
            await self._joints.end(connection_id)

    async def results(self) -> WorkloadResults:
        """The figures so far."""
        if self._statistics is None:
            return WorkloadResults(ImageOpsResults())
        figures = msgspec.structs.replace(
            self._statistics.results(),
            batch=None if self._batch is None else self._batch.results(),
            stream=None if self._frames is None else self._frames.results(),
        )
        files = ((TABLE_NAME, self._table), (_PICTURE_NAME, self._picture))
        artefacts = tuple(Artefact(name, path) for name, path in files if path is not None)
        return WorkloadResults(figures, artefacts)

    async def drain(self) -> None:
        """End all connections, calls and workers."""
        if self._joints is not None:
            await self._joints.end_all()
        if self._frames is not None and self._context is not None:
            await self._frames.close()
            picture = self._context.artefact_dir / _PICTURE_NAME
            self._picture = picture if picture.exists() else None
        if self._batch is not None and self._batch_task is not None:
            self._batch.stop()
            await asyncio.wait([self._batch_task], timeout=_CLOSE_TIMEOUT_S)
        if self._server is not None:
            server, self._server = self._server, None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                    await asyncio.to_thread(server.close, grace_s=0.2)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _make_frames(
        self, wanted: ImageStream, stream: Stream, context: WorkloadContext
    ) -> StreamOperations:
        """The operations on the stream's frames.

        Raises:
            SpecRejected: they do not fit them.
        """
        size = (stream.width, stream.height)
        try:
            chain = plan(wanted.operations, width=size[0], height=size[1])
        except ValueError as error:
            raise SpecRejected(f"spec.imageOps.stream.operations: {error}") from error
        return StreamOperations(
            chain,
            frames=context.shared_dir / names.SHARED_FRAMES,
            size=size,
            picture=context.artefact_dir / _PICTURE_NAME,
            on_ready=context.ready,
            on_change=self._figures_changed,
            on_failure=lambda words: context.fail(
                "StreamOperationsFailed", f"spec.imageOps.stream: {words}"
            ),
        )

    @property
    def _socket_path(self) -> Path:
        if self._folder is None:
            raise NotReady("the workload has no session yet")
        return self._folder / "grpc"

    async def _work_through(self, batch: BatchRun, table: Path, context: WorkloadContext) -> None:
        try:
            is_whole = await asyncio.to_thread(batch.run)
        except OSError as error:
            context.fail("BatchFailed", f"the batch cannot write: {error}")
            return
        if is_whole:
            self._table = table
            context.results_changed()
            context.done()

    def _figures_changed(self) -> None:
        context = self._context
        if context is None or self._statistics is None:
            return
        frames = 0 if self._frames is None else self._frames.frames
        if not self._has_news and (frames or self._statistics.results().calls):
            self._has_news = True
            context.first_frame()
        context.results_changed()


def _folders(batch: ImageBatch, *, volumes: Path) -> BatchFolders:
    volume, output = batch.input.volume, batch.output
    below = volume.path if volume is not None else None
    return BatchFolders(
        input=volumes / names.BATCH_INPUT / (below or ""),
        output=None if output is None else volumes / names.BATCH_OUTPUT / (output.path or ""),
    )
