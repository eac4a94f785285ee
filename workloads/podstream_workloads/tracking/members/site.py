"""A site's orchestrator as the pod of a session (`spec.tracking.orchestrator`)."""

import asyncio
import logging
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

from aiohttp import web

from podstream_core.agentapi import SessionRef
from podstream_core.api import (
    ObjectTimeline,
    OrchestratorResults,
    TimelineStoreType,
    TrackingOrchestrator,
    TrackingResults,
)
from podstream_workloads.agent import Artefact, SpecRejected, WorkloadContext
from podstream_workloads.tracking.members.settings import orchestrator_settings, timelines_store
from podstream_workloads.tracking.orchestrator import (
    Orchestrator,
    OrchestratorFigures,
    StoreError,
)

logger = logging.getLogger(__name__)

CALLERS: Final = 64
"""HTTP connections at a time that are no WebSockets: /timelines and /objectIds."""
_SHOWN_CAMERAS: Final = 8
_SHOWN_CHARS: Final = 64
_MESSAGE_CHARS: Final = 100
_STORE_AGAIN_S: Final = 1.0
_STORE_PATIENCE_S: Final = 30.0
"""For a database that restarts. Without it nobody knows which ids were given; the agent gives a
workload 60 s for all of its beginning."""


class TimelinesUnavailable(SpecRejected):
    """The site's database did not answer when the session began."""

    code = "TimelinesUnavailable"


class SiteMember:
    """Many cameras and clients in one pod (docs/adr/0017-tracking.md)."""

    def __init__(self, spec: TrackingOrchestrator, *, volumes: Path, session: SessionRef) -> None:
        """Prepare.

        Raises:
            SpecRejected: a key or a volume cannot be used.
        """
        self._spec = spec
        try:
            self._orchestrator = Orchestrator(
                orchestrator_settings(spec, volumes=volumes),
                store=timelines_store(spec, volumes=volumes, session=session),
            )
        except ValueError as error:
            raise SpecRejected(f"spec.tracking.orchestrator.auth.publicKey: {error}") from error

    @property
    def capacities(self) -> Mapping[str, int]:
        """See `Member`."""
        return {
            "camera": self._spec.max_cameras,
            "client": self._spec.max_clients,
            "caller": CALLERS,
        }

    async def open(self, context: WorkloadContext) -> web.Application:
        """See `Member`."""
        deadline = time.monotonic() + _STORE_PATIENCE_S
        while True:
            try:
                await self._orchestrator.open()
            except StoreError as error:
                if self._spec.timelines.store is TimelineStoreType.SQLITE:
                    raise SpecRejected(f"the timelines cannot be kept: {error}") from error
                if time.monotonic() >= deadline:
                    raise TimelinesUnavailable(f"spec.tracking.orchestrator: {error}") from error
                logger.warning("no timelines yet, trying again", extra={"why": str(error)})
            else:
                return self._orchestrator.app()
            await asyncio.sleep(_STORE_AGAIN_S)

    @property
    def artefacts(self) -> tuple[Artefact, ...]:
        """See `Member`: none."""
        return ()

    def results(self) -> TrackingResults:
        """See `Member`."""
        return TrackingResults(orchestrator=_results(self._orchestrator.results()))

    @property
    def is_finite(self) -> bool:
        """See `Member`."""
        return False

    @property
    def has_worked(self) -> bool:
        """See `Member`."""
        return self._orchestrator.results().boxes_out > 0

    async def close(self) -> None:
        """See `Member`."""
        await self._orchestrator.close()


def _results(figures: OrchestratorFigures) -> OrchestratorResults:
    return OrchestratorResults(
        cameras=figures.cameras,
        clients=figures.clients,
        objects_live=figures.objects_live,
        objects_ever=figures.objects_ever,
        boxes_in=figures.boxes_in,
        boxes_out=figures.boxes_out,
        dropped=figures.dropped,
        message=figures.trouble[:_MESSAGE_CHARS] or None,
        timelines_total=figures.timelines_total,
        timelines=[
            ObjectTimeline(
                object_id=line.object_id,
                cameras=[name[:_SHOWN_CHARS] for name in line.cameras[:_SHOWN_CAMERAS]],
                intervals=line.intervals,
                frames=line.frames,
                first=datetime.fromisoformat(line.first),
                last=datetime.fromisoformat(line.last),
            )
            for line in figures.timelines
        ],
    )
