"""A site's edge: frames come in by Socket.IO, people are looked for, the cloud says who they are.

    FrameDoor -> detector's thread -> CloudClient -> alarm_event

Every accepted frame is answered by `frame_processed` once the edge is done with it: nobody seen,
the cloud's verdict there, or given up within the client's deadline.
"""

import asyncio
import logging
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from podstream_workloads.tracking.edge.detectors.base import Detector
from podstream_workloads.tracking.intruder.cloud.client import CloudClient
from podstream_workloads.tracking.intruder.latency import Durations
from podstream_workloads.tracking.intruder.settings import IntruderEdgeSettings
from podstream_workloads.tracking.intruder.site.door import FrameDoor
from podstream_workloads.tracking.intruder.site.evidence import Evidence
from podstream_workloads.tracking.intruder.site.figures import IntruderEdgeFigures, Tally
from podstream_workloads.tracking.intruder.site.frames import Frame
from podstream_workloads.tracking.intruder.site.look import Look, look
from podstream_workloads.tracking.intruder.upload import Sent, UploadPage
from podstream_workloads.tracking.intruder.verdict import Outcome, Verdict

logger = logging.getLogger(__name__)

_UPLOAD: Final = "upload"
"""The upload page's place among the cameras; no socket's id looks like it."""


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
        self._door = FrameDoor(settings, tally=self._tally, on_dropped=self._dropped)
        self._uploads: dict[str, asyncio.Future[Sent]] = {}
        self._evidence = (
            Evidence(
                settings.evidence,
                limit=settings.max_evidence,
                max_bytes=settings.max_evidence_bytes,
            )
            if settings.evidence
            else None
        )
        self._keeping = asyncio.Lock()
        self.evidence: tuple[Path, ...] = ()
        """Pictures of alarms that are kept, the oldest first."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="detector")
        self._tasks: set[asyncio.Task[None]] = set()
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
        self._door.add_to(app)
        if self._page is not None:
            self._page.add_to(app)
        return app

    def results(self) -> IntruderEdgeFigures:
        """The figures so far."""
        return self._tally.figures(
            waiting=self._door.waiting,
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
        await self._door.close()
        await self._cloud.close()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _start(self, work: Any, *, name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Frames

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            frame = await self._door.get()
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
        await self._door.tell_all("alarm_event")
        logger.warning("Intruder detected in frame: %s", frame.name)
        self._log_ratios()
        if self._evidence is not None:
            try:
                async with self._keeping:  # one at a time: each leaves out the oldest ones
                    at = self._tally.last_alarm
                    await asyncio.to_thread(self._evidence.keep, frame.data, at=at)
                    self.evidence = tuple(await asyncio.to_thread(self._evidence.pictures))
            except OSError as error:
                logger.error("The picture of an intruder was not saved: %s", error)

    async def _done(self, frame: Frame, sent: Sent) -> None:
        self._tally.processed += 1
        self._round_ms.add(time.monotonic() - frame.received_at)
        self._finish_upload(frame, sent)
        await self._door.processed(frame)

    def _dropped(self, frame: Frame) -> None:
        self._finish_upload(frame, Sent(False, "too many frames wait"))

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
            await self._door.accept(Frame(_UPLOAD, name, picture, time.monotonic()))
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
