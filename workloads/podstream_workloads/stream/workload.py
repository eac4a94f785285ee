"""The stream workload as the agent runs it: one publisher that pushes raw frames, and viewers."""

import asyncio
import contextlib
import importlib
import logging
import os
import socket
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Final

from podstream_core import names
from podstream_core.agentapi import Protocol
from podstream_core.api import (
    Codec,
    LiveSpec,
    SessionSpec,
    SourceType,
    Stream,
    StreamResults,
    StreamSourceResults,
)
from podstream_workloads.agent import (
    Connection,
    SpecRejected,
    UnsupportedOffer,
    Workload,
    WorkloadContext,
    WorkloadResults,
)
from podstream_workloads.sharing import FrameServer, Mark
from podstream_workloads.stream.frames import Frame, FrameBuffer
from podstream_workloads.stream.pipeline import Pipeline
from podstream_workloads.stream.processing.choosing import ProcessingError
from podstream_workloads.stream.publisher import receive
from podstream_workloads.stream.sources.decoding import SourceError
from podstream_workloads.stream.sources.making import follow_link, make_frames
from podstream_workloads.stream.sources.rtsp import Link
from podstream_workloads.stream.viewing import FORMATS

if TYPE_CHECKING:
    from podstream_workloads.stream.webrtc.desk import Desk

logger = logging.getLogger(__name__)

_DESK: Final = "podstream_workloads.stream.webrtc.desk"

_NEWS_S: Final = 1.0
"""The agent hears of new figures at most this often."""


class StreamWorkload(Workload):
    """Takes the frames of one publisher at a time, and shows them to viewers."""

    name: ClassVar[str] = "stream"
    roles: ClassVar[Mapping[str, int]] = MappingProxyType({"publisher": 1, "viewer": 1})
    observers: ClassVar[frozenset[str]] = frozenset({"viewer"})

    def __init__(self) -> None:
        self._context: WorkloadContext | None = None
        self._spec = Stream()
        self._pipeline: Pipeline | None = None
        self._making: asyncio.Task[None] | None = None
        self._desk: Desk | None = None
        self._loading = asyncio.Lock()
        self._connections: dict[str, asyncio.Task[None]] = {}
        self._news: asyncio.TimerHandle | None = None
        self._told_at = -_NEWS_S

    async def configure(self, spec: SessionSpec, context: WorkloadContext) -> None:
        """Take the session."""
        if spec.stream is None:
            raise SpecRejected("spec.stream is not set")
        loop = asyncio.get_running_loop()

        def tell() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
                loop.call_soon_threadsafe(context.results_changed)

        self._spec = spec.stream
        self._context = context
        onlookers = self._share(context) if spec.onlookers else None
        try:
            self._pipeline = Pipeline(
                spec.stream,
                session=context.session,
                scratch=context.artefact_dir,
                volumes=context.volumes_dir,
                on_change=tell,
                on_processing_failure=lambda words: context.fail(
                    "PostProcessFailed", f"spec.stream.postProcess: {words}"
                ),
                onlookers=onlookers,
            )
        except ProcessingError as error:
            raise SpecRejected(str(error)) from error
        live = LiveSpec.of(spec).stream
        assert live is not None  # the spec has a stream
        self._pipeline.follow(live)
        if self._spec.source.type is SourceType.WHIP:
            await self._open_desk()
        context.ready()
        if not self._spec.source.is_client:
            self._making = asyncio.create_task(self._make(), name="source")

    async def update(self, live: LiveSpec) -> None:
        """Start or stop the stream or its recording; a file that was ended is whole afterwards."""
        if self._pipeline is None or live.stream is None:
            return
        self._pipeline.follow(live.stream)
        logger.info(
            "stream is %s",
            live.stream.state,
            extra={"recording": live.stream.recording},
        )
        if not await asyncio.to_thread(self._pipeline.settle):
            logger.warning("the recording is still being finished")

    @property
    def is_finite(self) -> bool:
        """Whether its source ends; otherwise a session lasts until its publisher leaves."""
        return self._spec.source.is_finite

    @property
    def capacities(self) -> Mapping[str, int]:
        """The viewers that the spec allows, and one publisher where frames come from a client."""
        viewers = {"viewer": self._spec.max_viewers}
        return {"publisher": 1, **viewers} if self._spec.source.is_client else viewers

    @property
    def flush_seconds(self) -> float:
        """How long the end of the session may wait for its recording to be in its bucket."""
        recording = self._spec.recording
        return 0.0 if recording is None or recording.s3 is None else recording.s3.finish_seconds

    @property
    def encoders(self) -> frozenset[Codec]:
        """Codecs in which pictures are encoded for viewers by WebRTC, or were."""
        return frozenset() if self._desk is None else self._desk.codecs

    async def connect_stream(self, connection: Connection, *, sock: socket.socket) -> None:
        """Take a publisher's frames, or show them to a viewer, until it leaves."""
        is_pushed = self._spec.source.type is SourceType.PUSH
        if is_pushed and connection.role == "publisher" and connection.protocol is Protocol.TCP:
            work = self._serve(connection, sock)
        elif connection.role == "viewer" and connection.protocol in FORMATS:
            work = self._show(connection, sock)
        else:
            sock.close()
            raise UnsupportedOffer(
                f"workload stream does not speak {connection.protocol} with a {connection.role}"
            )
        self._connections[connection.id] = asyncio.create_task(work, name=connection.id)

    async def connect_whep(self, connection: Connection, *, offer_sdp: str) -> str:
        """Answer the offer of a publisher (WHIP) or a viewer (WHEP)."""
        desk = await self._open_desk()
        if connection.protocol is Protocol.WHEP and connection.role == "viewer":
            return await desk.look(connection.id, offer_sdp=offer_sdp)
        return await desk.publish(connection.id, offer_sdp=offer_sdp)

    async def move_media(self, *, port: int, address: tuple[str, int]) -> bool:
        """Send a client's media elsewhere."""
        return self._desk is not None and self._desk.redirect(port, address)

    async def disconnect(self, connection_id: str) -> None:
        """End a connection."""
        if self._desk is not None:
            await self._desk.disconnect(connection_id)
        task = self._connections.pop(connection_id, None)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def results(self) -> WorkloadResults:
        """The figures so far, and the files that are whole."""
        if self._pipeline is None:
            return WorkloadResults(StreamResults())
        if self._desk is not None and self._desk.source is not None:
            self._pipeline.source = self._desk.source
        return WorkloadResults(self._pipeline.results(), self._pipeline.artefacts())

    async def drain(self) -> None:
        """End all connections and finish the recording."""
        if self._making is not None:
            self._making.cancel()
            await asyncio.wait([self._making])
        if self._desk is not None:
            await self._desk.close()
        for connection_id in list(self._connections):
            await self.disconnect(connection_id)
        if self._news is not None:
            self._news.cancel()
        if self._pipeline is None:
            return
        await self._pipeline.drain()
        if not await asyncio.to_thread(self._pipeline.close):
            logger.error("the last file of the recording is not finished in time")

    async def flush(self) -> None:
        """Wait until the recording is in its bucket; status names what is not."""
        pipeline = self._pipeline
        if pipeline is None:
            return
        if not await asyncio.to_thread(pipeline.flush, timeout_s=self.flush_seconds):
            logger.error("the recording is not whole in its bucket")

    def _share(self, context: WorkloadContext) -> FrameServer:
        """Let the session's other workloads look at the frames."""

        def tell(line: str) -> None:
            if self._desk is not None:
                self._desk.tell(line)

        server = FrameServer(context.shared_dir / names.SHARED_FRAMES, on_note=tell)
        try:
            server.open()
        except OSError as error:
            raise SpecRejected(f"the frames cannot be shared within the pod: {error}") from error
        return server

    async def _open_desk(self) -> "Desk":
        context, pipeline = self._context, self._pipeline
        assert context is not None  # a connection comes after `configure`
        assert pipeline is not None
        async with self._loading:
            if self._desk is None:
                # Loads aiortc, which takes as long as all else of a pod's start: in a thread, so
                # that frames are taken meanwhile, and only where a client speaks WebRTC.
                module = await asyncio.to_thread(importlib.import_module, _DESK)
                made: Desk = module.Desk(
                    self._spec,
                    context,
                    viewed_size=pipeline.viewed_size,
                    on_frame=lambda frame, mark: self._take(frame, context, pipeline, mark),
                    changed=lambda: self._tell_soon(context),
                )
                self._desk = pipeline.more_viewers = made
            return self._desk

    async def _show(self, connection: Connection, sock: socket.socket) -> None:
        context, pipeline = self._context, self._pipeline
        assert context is not None  # a connection comes after `configure`
        assert pipeline is not None
        context.established(connection.id)
        self._tell_soon(context)
        try:
            with sock:
                reason = await pipeline.viewing.serve(sock, protocol=connection.protocol)
        finally:
            self._tell_soon(context)
        if self._connections.pop(connection.id, None) is not None:
            context.lost(connection.id, reason=reason)

    async def _serve(self, connection: Connection, sock: socket.socket) -> None:
        context, pipeline = self._context, self._pipeline
        assert context is not None  # a connection comes after `configure`
        assert pipeline is not None
        reason = "the publisher left"
        buffer = FrameBuffer(self._spec.width, self._spec.height)
        try:
            with sock:
                await self._receive(connection, sock, buffer)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
        finally:
            pipeline.statistics.ended(filled=buffer.filled)
            context.results_changed()
        if buffer.filled:
            logger.warning(
                "connection ended within a frame",
                extra={
                    "connection": connection.id,
                    "received": buffer.filled,
                    "frame_bytes": buffer.size,
                },
            )
        if self._connections.pop(connection.id, None) is not None:
            context.lost(connection.id, reason=reason)

    async def _make(self) -> None:
        context, pipeline, source = self._context, self._pipeline, self._spec.source
        assert context is not None
        assert pipeline is not None

        def frame_came(frame: Frame, size: int) -> bool:
            pipeline.statistics.received(size)
            self._take(frame, context, pipeline)
            return not source.frames or pipeline.statistics.frames < source.frames

        def linked(link: Link) -> None:
            pipeline.source = follow_link(pipeline.source or StreamSourceResults(), link)
            context.results_changed()

        try:
            await make_frames(
                self._spec, volumes=context.volumes_dir, on_frame=frame_came, on_link=linked
            )
        except SourceError as error:
            context.fail("SourceFailed", f"spec.stream.source: {error}")
            return
        context.done()

    def _take(
        self,
        frame: Frame,
        context: WorkloadContext,
        pipeline: Pipeline,
        mark: Mark | None = None,
    ) -> None:
        pipeline.frame(frame, now=asyncio.get_running_loop().time(), mark=mark)
        if pipeline.statistics.frames == 1:
            context.first_frame()
        self._tell_soon(context)

    def _tell_soon(self, context: WorkloadContext) -> None:
        """Let the agent know of new figures, now or once the last word is old enough."""
        if self._news is not None:
            return
        loop = asyncio.get_running_loop()

        def tell() -> None:
            self._news, self._told_at = None, loop.time()
            context.results_changed()

        self._news = loop.call_at(max(self._told_at + _NEWS_S, loop.time()), tell)

    async def _receive(
        self, connection: Connection, sock: socket.socket, buffer: FrameBuffer
    ) -> None:
        context, pipeline = self._context, self._pipeline
        assert context is not None
        assert pipeline is not None
        is_new = True

        def bytes_came(count: int) -> None:
            nonlocal is_new
            pipeline.statistics.received(count)
            if is_new:
                context.established(connection.id)
                is_new = False

        sock.setblocking(False)
        await receive(
            sock,
            buffer,
            on_bytes=bytes_came,
            on_frame=lambda frame: self._take(frame, context, pipeline),
        )
