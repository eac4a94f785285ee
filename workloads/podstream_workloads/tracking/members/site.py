"""A site's orchestrator as the pod of a session (`spec.tracking.orchestrator`)."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

from aiohttp import web

from podstream_core.api import (
    ObjectTimeline,
    OrchestratorResults,
    TrackingOrchestrator,
    TrackingResults,
)
from podstream_workloads.agent import SpecRejected, WorkloadContext
from podstream_workloads.tracking.members.settings import orchestrator_settings, timelines_path
from podstream_workloads.tracking.orchestrator import (
    Orchestrator,
    OrchestratorFigures,
    SqliteTimelines,
    StoreError,
)

CALLERS: Final = 64
"""HTTP connections at a time that are no WebSockets: /timelines and /objectIds."""
_SHOWN_CAMERAS: Final = 8
_SHOWN_CHARS: Final = 64


class SiteMember:
    """Many cameras and clients in one pod (docs/adr/0017-tracking.md)."""

    def __init__(self, spec: TrackingOrchestrator, *, volumes: Path) -> None:
        """Prepare.

        Raises:
            SpecRejected: a key or a volume cannot be used.
        """
        self._spec = spec
        try:
            self._orchestrator = Orchestrator(
                orchestrator_settings(spec, volumes=volumes),
                store=SqliteTimelines(timelines_path(spec, volumes=volumes)),
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
        try:
            await self._orchestrator.open()
        except StoreError as error:
            raise SpecRejected(f"the timelines cannot be kept: {error}") from error
        return self._orchestrator.app()

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
