"""Edge and cloud of intruder detection as pods (`spec.tracking.edge` and `.recognition`)."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from aiohttp import web

from podstream_core.api import (
    EdgeResults,
    RecognitionResults,
    TrackingEdge,
    TrackingRecognition,
    TrackingResults,
)
from podstream_workloads.agent import Artefact, SpecRejected, WorkloadContext
from podstream_workloads.tracking.edge.detectors.make import make_detector
from podstream_workloads.tracking.edge.errors import EdgeError
from podstream_workloads.tracking.intruder import (
    CloudClient,
    CloudClientSettings,
    CloudService,
    CloudSettings,
    IntruderEdge,
    IntruderEdgeSettings,
)
from podstream_workloads.tracking.members.looking import detector_settings
from podstream_workloads.tracking.members.peer import PeerSession
from podstream_workloads.tracking.members.recognising import recogniser_of

_CALLERS: Final = 16
"""HTTP connections at a time, for the upload page and health."""
_CLOUD_CALLERS: Final = 64
_PREPARE_S: Final = 20.0
"""A cloud is ready after so long at the latest; the agent gives it 60 s."""
_SHOWN_CHARS: Final = 300


class EdgeMember:
    """Cameras and alarms dial in; strangers raise the alarm."""

    def __init__(self, spec: TrackingEdge) -> None:
        self._spec = spec
        self._edge: IntruderEdge | None = None

    @property
    def capacities(self) -> Mapping[str, int]:
        """See `Member`; the edge itself bounds how many devices there are."""
        # Some keep the connection that they polled on beside their WebSocket.
        return {"device": 2 * self._spec.max_connections, "caller": _CALLERS}

    async def open(self, context: WorkloadContext) -> web.Application:
        """See `Member`."""
        peer = PeerSession.of(self._spec.cloud_ref, context=context)
        settings = detector_settings(self._spec.detector, volumes=context.volumes_dir)
        try:
            detector = await asyncio.to_thread(make_detector, settings)
        except EdgeError as error:
            raise SpecRejected(f"{error.reason}: {error}") from error
        self._edge = IntruderEdge(
            IntruderEdgeSettings(
                max_connections=self._spec.max_connections,
                confidence=self._spec.detector.confidence,
                upload_page=self._spec.upload_page,
                evidence=context.artefact_dir if self._spec.evidence_pictures else None,
                max_evidence=self._spec.evidence_pictures,
            ),
            detector=detector,
            cloud=CloudClient(CloudClientSettings(url=peer.url, token_file=peer.token_file)),
        )
        await self._edge.open()
        return self._edge.app()

    @property
    def artefacts(self) -> tuple[Artefact, ...]:
        """See `Member`: pictures of alarms."""
        kept = () if self._edge is None else self._edge.evidence
        return tuple(Artefact(path.name, path) for path in kept)

    def results(self) -> TrackingResults:
        """See `Member`."""
        if self._edge is None:
            return TrackingResults(edge=EdgeResults())
        found = self._edge.results()
        return TrackingResults(
            edge=EdgeResults(
                connections=found.connections,
                frames=found.frames,
                processed=found.processed,
                dropped=found.dropped,
                refused=found.refused,
                with_persons=found.with_persons,
                requests=found.requests,
                known=found.known,
                unknown=found.unknown,
                undetermined=found.undetermined,
                intruders=found.intruders,
                last_alarm=found.last_alarm,
                last_evidence=self.artefacts[-1].name if self.artefacts else None,
                message=found.last_reason[:_SHOWN_CHARS] or None,
                edge_ms=found.edge_ms,
                cloud_ms=found.cloud_ms,
                round_ms=found.round_ms,
            )
        )

    @property
    def is_finite(self) -> bool:
        """See `Member`."""
        return False

    @property
    def has_worked(self) -> bool:
        """See `Member`."""
        return self._edge is not None and self._edge.results().processed > 0

    async def close(self) -> None:
        """See `Member`."""
        if self._edge is not None:
            await self._edge.close()


class CloudMember:
    """Says whether a face is known."""

    def __init__(self, spec: TrackingRecognition, *, volumes: Path) -> None:
        """Prepare.

        Raises:
            SpecRejected: the spec does not say who is known.
        """
        self._recogniser = recogniser_of(spec, volumes=volumes)
        self._service = CloudService(
            CloudSettings(upload_page=spec.upload_page), recogniser=self._recogniser
        )
        self._opening: asyncio.Task[None] | None = None

    @property
    def capacities(self) -> Mapping[str, int]:
        """See `Member`."""
        return {"caller": _CLOUD_CALLERS}

    async def open(self, context: WorkloadContext) -> web.Application:
        """See `Member`."""
        # AWS may be away, or have hundreds of faces to learn: pictures wait for it meanwhile, and
        # are undetermined where that takes too long.
        self._opening = asyncio.create_task(self._service.open(), name="recogniser")
        await asyncio.wait([self._opening], timeout=_PREPARE_S)
        if self._opening.done():
            self._opening.result()
        return self._service.app()

    @property
    def artefacts(self) -> tuple[Artefact, ...]:
        """See `Member`: none."""
        return ()

    def results(self) -> TrackingResults:
        """See `Member`."""
        found = self._service.results()
        return TrackingResults(
            recognition=RecognitionResults(
                requests=found.requests,
                known=found.known,
                unknown=found.unknown,
                undetermined=found.undetermined,
                refused=found.refused,
                message=(self._recogniser.trouble or found.last_reason)[:_SHOWN_CHARS] or None,
                recognise_ms=found.recognise_ms,
            )
        )

    @property
    def is_finite(self) -> bool:
        """See `Member`."""
        return False

    @property
    def has_worked(self) -> bool:
        """See `Member`."""
        return self._service.results().requests > 0

    async def close(self) -> None:
        """See `Member`."""
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait([self._opening])
        await self._service.close()
