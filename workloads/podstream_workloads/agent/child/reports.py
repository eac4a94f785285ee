"""What the workload reports: a bounded queue of events, and the context that fills it."""

import asyncio
import hashlib
import logging
import os
import re
from pathlib import Path
from typing import Final

from podstream_core.agentapi import SessionRef
from podstream_workloads.agent.wire import ArtefactInfo, ChildResults, Event, EventKind
from podstream_workloads.agent.workload import (
    Artefact,
    MediaAddress,
    Workload,
    WorkloadContext,
    WorkloadResults,
)

logger = logging.getLogger(__name__)

RESULTS_PERIOD_S: Final = 0.5
"""Figures go to the agent at most this often."""
MAX_QUEUED_EVENTS: Final = 1000
"""Far more than a live agent ever leaves unread: it reads at once and lives on the same machine."""

_ARTEFACT_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")
_EXIT_AGENT_STALLED: Final = 70


class Reports:
    """Events on their way to the agent."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Event] = asyncio.Queue(MAX_QUEUED_EVENTS)
        self._results_wanted = asyncio.Event()
        self._digests = _Digests()

    def put(self, event: Event) -> None:
        """Queue an event; ends the process when the agent has stopped to read."""
        try:
            self._queue.put_nowait(event)
        except asyncio.QueueFull:
            logger.critical("the agent does not read events any more")
            os._exit(_EXIT_AGENT_STALLED)

    def want_results(self) -> None:
        """Send figures soon."""
        self._results_wanted.set()

    async def next_event(self) -> Event:
        """The oldest event, once there is one."""
        return await self._queue.get()

    async def send_results(self, workload: Workload) -> None:
        """Send the workload's figures whenever they have changed; runs as long as the child."""
        while True:
            await self._results_wanted.wait()
            self._results_wanted.clear()
            try:
                results = await self.pack(await workload.results())
            except Exception:
                logger.exception("the workload's results cannot be read")
            else:
                self.put(Event(kind=EventKind.RESULTS, results=results))
            await asyncio.sleep(RESULTS_PERIOD_S)

    async def pack(self, results: WorkloadResults) -> ChildResults:
        """Results as the agent gets them, with size and checksum of each artefact."""
        artefacts = [await self._digests.describe(artefact) for artefact in results.artefacts]
        return ChildResults(
            figures=results.figures.to_body(),
            artefacts=[artefact for artefact in artefacts if artefact is not None],
        )


class _Digests:
    """Checksums of artefacts, each made once per content."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int, int], str] = {}

    async def describe(self, artefact: Artefact) -> ArtefactInfo | None:
        if not _ARTEFACT_NAME.match(artefact.name):
            logger.error("artefact name %r is not allowed", artefact.name)
            return None
        try:
            stat = artefact.path.stat()
            sha256 = ""
            if not artefact.is_live:
                sha256 = artefact.sha256 or await self._read(artefact.path, stat)
        except OSError as error:
            if artefact.is_live:
                return None  # it has been renamed meanwhile: the next results have it
            logger.error("artefact %s cannot be read: %s", artefact.name, error)
            return None
        return ArtefactInfo(
            name=artefact.name,
            path=str(artefact.path),
            size=stat.st_size,
            sha256=sha256,
            later="" if artefact.later is None else str(artefact.later),
        )

    async def _read(self, path: Path, stat: os.stat_result) -> str:
        key = (str(path), stat.st_size, stat.st_mtime_ns)
        if key not in self._known:
            self._known[key] = await asyncio.to_thread(_sha256, path)
        return self._known[key]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class ChildContext(WorkloadContext):
    """The context of a configured workload."""

    def __init__(
        self,
        reports: Reports,
        *,
        session: SessionRef,
        media: MediaAddress,
        artefact_dir: Path,
        volumes_dir: Path,
        shared_dir: Path,
    ) -> None:
        self.session = session
        self.media = media
        self.artefact_dir = artefact_dir
        self.volumes_dir = volumes_dir
        self.shared_dir = shared_dir
        self._reports = reports
        self._once: set[EventKind] = set()

    def ready(self) -> None:
        """See the base class."""
        self._put_once(EventKind.READY)

    def established(self, connection_id: str) -> None:
        """See the base class."""
        self._reports.put(Event(kind=EventKind.ESTABLISHED, connection_id=connection_id))

    def lost(self, connection_id: str, *, reason: str = "") -> None:
        """See the base class."""
        self._reports.put(
            Event(kind=EventKind.LOST, connection_id=connection_id, reason=reason[:500])
        )

    def first_frame(self) -> None:
        """See the base class."""
        self._put_once(EventKind.FIRST_FRAME)

    def results_changed(self) -> None:
        """See the base class."""
        self._reports.want_results()

    def done(self) -> None:
        """See the base class."""
        self._put_once(EventKind.DONE)

    def fail(self, reason: str, message: str) -> None:
        """See the base class."""
        self._reports.put(Event(kind=EventKind.FAILED, reason=reason[:100], message=message[:2000]))

    def _put_once(self, kind: EventKind) -> None:
        if kind not in self._once:
            self._once.add(kind)
            self._reports.put(Event(kind=kind))
