"""A site's edge: frames come in by Socket.IO, people are looked for, the cloud says who they are.

    socket -> WaitingFrames -> detector's thread -> CloudClient -> alarm_event

Every accepted frame is answered by `frame_processed` once the edge is done with it: nobody seen,
the cloud's verdict there, or given up within the client's deadline. A frame that had to give way
to newer ones is answered by `frame_refused` instead, which existing cameras do not listen to.
"""

import asyncio
import logging
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, Final

import socketio
from aiohttp import web

from podstream_workloads.tracking.edge.detectors.base import Detector
from podstream_workloads.tracking.intruder.buckets import TokenBucket
from podstream_workloads.tracking.intruder.cloud.client import CloudClient
from podstream_workloads.tracking.intruder.latency import Durations
from podstream_workloads.tracking.intruder.settings import IntruderEdgeSettings
from podstream_workloads.tracking.intruder.site.evidence import Evidence
from podstream_workloads.tracking.intruder.site.figures import IntruderEdgeFigures, Tally
from podstream_workloads.tracking.intruder.site.frames import Frame, WaitingFrames
from podstream_workloads.tracking.intruder.site.look import Look, look
from podstream_workloads.tracking.intruder.site.packets import (
    MALFORMED,
    BoundedJson,
    BoundedPacket,
)
from podstream_workloads.tracking.intruder.site.sockets import EngineRoute
from podstream_workloads.tracking.intruder.upload import Sent, UploadPage
from podstream_workloads.tracking.intruder.verdict import Outcome, Verdict

logger = logging.getLogger(__name__)
_library = logging.getLogger(f"{__name__}.socketio")
_library.setLevel(logging.WARNING)  # else it formats a line for every packet

_NAME: Final = 200
"""Characters of a frame's name that are kept."""
_UPLOAD: Final = "upload"
"""The upload page's place among the cameras; no socket's id looks like it."""
_CLOSE_S: Final = 5.0


class IntruderEdge:
    """One site: its cameras, its alarms, its people."""

    def __init__(
        self, settings: IntruderEdgeSettings, *, detector: Detector, cloud: CloudClient
    ) -> None:
        self._settings = settings
        self._detector = detector
        self._cloud = cloud
        self._tally = Tally()
        self._edge_ms = Durations()
        self._round_ms = Durations()
        self._buckets: dict[str, TokenBucket] = {}
        self._frames = WaitingFrames(
            per_camera=settings.frames_per_camera,
            max_bytes=settings.max_waiting_bytes,
            max_cameras=settings.max_connections,
        )
        self._uploads: dict[str, asyncio.Future[Sent]] = {}
        self._evidence = (
            Evidence(settings.evidence, limit=settings.max_evidence) if settings.evidence else None
        )
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="detector")
        self._tasks: set[asyncio.Task[None]] = set()
        self._sio = socketio.AsyncServer(
            async_mode="aiohttp",
            max_http_buffer_size=settings.max_message_bytes,
            # In order and one at a time: a socket that is served slowly is read slowly.
            async_handlers=False,
            serializer=BoundedPacket,
            json=BoundedJson,
            logger=_library,
            engineio_logger=_library,
        )
        self._route = EngineRoute(
            self._sio, max_clients=settings.max_connections, on_oversize=self._on_oversize
        )
        self._sio.on("connect", self._on_connect)
        self._sio.on("disconnect", self._on_disconnect)
        self._sio.on("frame_event", self._on_frame)
        self._sio.on(MALFORMED, self._on_malformed)
        self._sio.on("*", self._on_other)
        self._page = (
            UploadPage(
                self._upload,
                plots={
                    "round trip": self._round_ms.milliseconds,
                    "edge": self._edge_ms.milliseconds,
                    "cloud": cloud.durations.milliseconds,
                },
                max_bytes=settings.limits.max_bytes,
            )
            if settings.upload_page
            else None
        )

    async def open(self) -> None:
        """Start looking at frames, and the way to the cloud."""
        await self._cloud.open()
        self._start(self._work(), name="intruder-frames")

    def app(self) -> web.Application:
        """The application, served at `/`: Socket.IO at its default path, and `GET /health`."""
        app = web.Application()
        self._route.add_to(app)
        app.router.add_get("/health", _health)
        if self._page is not None:
            self._page.add_to(app)
        return app

    def results(self) -> IntruderEdgeFigures:
        """The figures so far."""
        return self._tally.figures(
            waiting=len(self._frames),
            cloud=self._cloud.figures,
            detector=f"{self._detector.name} {self._detector.version}",
            edge_ms=self._edge_ms.median_ms(),
            cloud_ms=self._cloud.durations.median_ms(),
            round_ms=self._round_ms.median_ms(),
        )

    async def close(self) -> None:
        """Stop the work, let the cloud go; the application's own shutdown has cut the sockets."""
        self._log_ratios()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for waiting in self._uploads.values():
            if not waiting.done():
                waiting.set_result(Sent(False, "the edge is closing"))
        try:
            async with asyncio.timeout(_CLOSE_S):
                await self._sio.shutdown()
        except TimeoutError:
            logger.warning("Some sockets did not close within %.0f s", _CLOSE_S)
        self._route.close()
        await self._cloud.close()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _start(self, work: Any, *, name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Sockets

    async def _on_connect(self, sid: str, environ: Any, auth: Any = None) -> None:
        if len(self._buckets) >= self._settings.max_connections:
            self._tally.refused["connections"] += 1
            logger.warning("A socket was refused: %d are there", len(self._buckets))
            raise socketio.exceptions.ConnectionRefusedError("too many connections")
        self._buckets[sid] = TokenBucket(
            self._settings.camera_frames_per_s, burst=self._settings.camera_burst
        )
        self._route.note(self._sio.manager.eio_sid_from_sid(sid, "/"), environ["aiohttp.request"])
        self._tally.connections = len(self._buckets)
        self._tally.connections_ever += 1
        logger.info("Socket %s connected, %d are there", sid, len(self._buckets))

    async def _on_disconnect(self, sid: str, reason: str = "") -> None:
        self._buckets.pop(sid, None)
        self._tally.connections = len(self._buckets)
        engine_sid = self._sio.manager.eio_sid_from_sid(sid, "/")
        if engine_sid is not None:
            self._route.cut(engine_sid)
        logger.info("Socket %s is gone: %s", sid, reason)

    async def _on_frame(self, sid: str, *given: Any) -> None:
        in_time = await self._paced(sid)
        message = given[0] if len(given) == 1 else None
        if not isinstance(message, dict):
            return await self._refuse(sid, "", "malformed", "frame_event takes one object")
        name, data = message.get("frame_name"), message.get("data")
        if not isinstance(name, str) or not isinstance(data, bytes):
            return await self._refuse(
                sid,
                name if isinstance(name, str) else "",
                "malformed",
                "frame_event takes frame_name (text) and data (bytes)",
            )
        if not in_time:
            return await self._refuse(sid, name, "rate", "too many frames a second")
        limit = self._settings.limits.max_bytes
        if len(data) > limit:
            return await self._refuse(sid, name, "size", f"{len(data)} bytes, at most {limit}")
        await self._accept(Frame(sid, shown(name), data, time.monotonic()))
        return None

    async def _on_malformed(self, sid: str, *given: Any) -> None:
        await self._paced(sid)
        await self._refuse(sid, "", "malformed", shown(str(given[0])) if given else "")

    async def _on_other(self, event: str, sid: str, *_: Any) -> None:
        await self._paced(sid)
        self._tally.refused["event"] += 1
        self._log_sparsely("event", "Socket %s: unknown event %s", sid, shown(event))

    def _on_oversize(self, engine_sid: str) -> None:
        self._tally.refused["message"] += 1
        logger.warning(
            "A message over %d bytes cost its sender the socket (%s)",
            self._settings.max_message_bytes,
            shown(engine_sid) or "no session",
        )

    async def _paced(self, sid: str) -> bool:
        """Whether this socket may send now; else the pause after which it is read again is over."""
        bucket = self._buckets.get(sid)
        if bucket is None or bucket.take():
            return True
        await asyncio.sleep(bucket.wait_s())
        bucket.take()
        return False

    async def _refuse(self, sid: str, name: str, reason: str, detail: str) -> None:
        self._tally.refused[reason] += 1
        self._log_sparsely(reason, "Refused frame: %s: %s (%s)", shown(name), reason, detail)
        await self._sio.emit("frame_refused", {"frame_name": shown(name), "reason": reason}, to=sid)

    def _log_sparsely(self, reason: str, text: str, *values: Any) -> None:
        """A line for the first of each reason and then for every tenth, hundredth, ..."""
        count = self._tally.refused[reason]
        if count == 10 ** (len(str(count)) - 1):
            logger.warning("%s [%d so far]", text % values, count)

    # Frames

    async def _accept(self, frame: Frame) -> None:
        self._tally.frames += 1
        for gone in self._frames.put(frame):
            self._tally.dropped += 1
            self._log_sparsely_dropped(gone)
            self._finish_upload(gone, Sent(False, "too many frames wait"))
            if gone.sid != _UPLOAD:
                await self._sio.emit(
                    "frame_refused", {"frame_name": gone.name, "reason": "overflow"}, to=gone.sid
                )

    def _log_sparsely_dropped(self, frame: Frame) -> None:
        count = self._tally.dropped
        if count == 10 ** (len(str(count)) - 1):
            logger.warning("Dropped frame: %s [%d so far]", frame.name, count)

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            frame = await self._frames.get()
            begun = time.monotonic()
            try:
                seen = await loop.run_in_executor(self._thread, self._look, frame.data)
            except Exception:
                logger.exception("Looking at frame %s failed", frame.name)
                self._tally.failed += 1
                seen = Look(0)
            self._edge_ms.add(time.monotonic() - begun)
            if seen.refused:
                self._tally.undecodable += 1
                logger.error("Failed to decode frame: %s", frame.name)
                logger.info("%s: %s", frame.name, seen.refused)
            self._tally.looked_at += 1
            if seen.pictures:
                self._tally.with_persons += 1
                self._tally.persons += seen.persons
                self._start(self._ask(frame, seen), name=f"ask:{frame.name}")
            else:
                await self._done(frame, Sent(not seen.refused, seen.refused or "nobody seen"))

    def _look(self, data: bytes) -> Look:
        return look(data, detector=self._detector, settings=self._settings)

    async def _ask(self, frame: Frame, seen: Look) -> None:
        """Have the cloud say who it is; at most `backlog` pictures wait, so this ends in time."""
        verdicts = await asyncio.gather(*(self._cloud.ask(picture) for picture in seen.pictures))
        outcome = overall(list(verdicts))
        self._tally.requests += len(verdicts)
        self._tally.outcomes[outcome] += 1
        for verdict in verdicts:
            if verdict.outcome is Outcome.UNDETERMINED:
                self._tally.last_reason = verdict.reason
                logger.warning("Undetermined: %s: %s", frame.name, verdict.reason)
        if outcome is Outcome.UNKNOWN:
            await self._alarm(frame)
        await self._done(frame, Sent(True, outcome.value))

    async def _alarm(self, frame: Frame) -> None:
        self._tally.intruders += 1
        self._tally.last_alarm = datetime.now().astimezone()
        await self._sio.emit("alarm_event")
        logger.warning("Intruder detected in frame: %s", frame.name)
        self._log_ratios()
        if self._evidence is not None:
            try:
                await asyncio.to_thread(self._evidence.keep, frame.data, at=self._tally.last_alarm)
            except OSError as error:
                logger.error("The picture of an intruder was not saved: %s", error)

    async def _done(self, frame: Frame, sent: Sent) -> None:
        self._tally.processed += 1
        self._round_ms.add(time.monotonic() - frame.received_at)
        self._finish_upload(frame, sent)
        if frame.sid != _UPLOAD:
            await self._sio.emit("frame_processed", {"frame_name": frame.name}, to=frame.sid)

    def _log_ratios(self) -> None:
        tally = self._tally
        logger.info(
            "Persons/frames: %d/%d, intruders/requests: %d/%d",
            tally.with_persons,
            tally.looked_at,
            tally.intruders,
            tally.requests,
        )

    # The upload page

    async def _upload(self, name: str, picture: bytes) -> Sent:
        waiting: asyncio.Future[Sent] = asyncio.get_running_loop().create_future()
        self._uploads[name] = waiting
        try:
            await self._accept(Frame(_UPLOAD, name, picture, time.monotonic()))
            return await waiting
        finally:
            self._uploads.pop(name, None)

    def _finish_upload(self, frame: Frame, sent: Sent) -> None:
        waiting = self._uploads.get(frame.name) if frame.sid == _UPLOAD else None
        if waiting is not None and not waiting.done():
            waiting.set_result(sent)


def overall(verdicts: list[Verdict]) -> Outcome:
    """Of several people: one stranger is an intruder; known only where everybody is."""
    outcomes = Counter(verdict.outcome for verdict in verdicts)
    for outcome in (Outcome.UNKNOWN, Outcome.UNDETERMINED):
        if outcomes[outcome]:
            return outcome
    return Outcome.KNOWN


def shown(text: str) -> str:
    """A foreign text as it may stand in a log line."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:_NAME])


async def _health(_: web.Request) -> web.Response:
    return web.json_response({"status": "healthy"})
