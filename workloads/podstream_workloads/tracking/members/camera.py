"""A camera processor as the pod of a session (`spec.tracking.camera`)."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from podstream_core import names
from podstream_core.api import CameraResults, CameraSourceType, TrackingCamera, TrackingResults
from podstream_workloads.agent import SpecRejected, WorkloadContext
from podstream_workloads.tracking.edge.camera import Camera, CameraSettings
from podstream_workloads.tracking.edge.errors import EdgeError
from podstream_workloads.tracking.edge.settings import (
    EdgeSettings,
    ProcessorSettings,
    SourceSettings,
    SourceType,
)
from podstream_workloads.tracking.members.looking import detector_settings
from podstream_workloads.tracking.members.peer import PeerSession

_SHOWN_CHARS = 300


class CameraMember:
    """Fetches pictures, follows people, and dials its site; nobody connects to it."""

    def __init__(self, spec: TrackingCamera) -> None:
        self._spec = spec
        self._camera: Camera | None = None
        self._ending: asyncio.Task[None] | None = None

    @property
    def capacities(self) -> Mapping[str, int]:
        """See `Member`."""
        return {}

    async def open(self, context: WorkloadContext) -> None:
        """See `Member`."""
        peer = PeerSession.of(self._spec.site_ref, context=context)
        settings = CameraSettings(
            source=_source(self._spec, volumes=context.volumes_dir),
            processor=ProcessorSettings(
                url=f"ws{peer.url.removeprefix('http')}/processor",
                camera_id=self._spec.id,
                headers=(("Authorization", f"Bearer {peer.token()}"),),
            ),
            edge=EdgeSettings(
                detector=detector_settings(self._spec.detector, volumes=context.volumes_dir)
            ),
        )
        try:
            self._camera = await asyncio.to_thread(Camera, settings)
        except EdgeError as error:
            raise SpecRejected(f"{error.reason}: {error}") from error
        await self._camera.open()
        self._ending = asyncio.create_task(self._await_end(self._camera, context), name="end")

    def results(self) -> TrackingResults:
        """See `Member`."""
        if self._camera is None:
            return TrackingResults(camera=CameraResults())
        found = self._camera.figures()
        message = found.failure or found.processor.last_error
        return TrackingResults(
            camera=CameraResults(
                connected=found.processor.connected,
                connections=found.processor.connections,
                frames=found.pipeline.processed,
                dropped=found.pipeline.dropped,
                tracks=found.pipeline.tracks,
                present=found.present,
                sent=found.processor.sent,
                message=message[:_SHOWN_CHARS] or None,
            )
        )

    @property
    def is_finite(self) -> bool:
        """See `Member`."""
        source = self._spec.source
        return source.type is CameraSourceType.FILE and not (source.file and source.file.loop)

    @property
    def has_worked(self) -> bool:
        """See `Member`."""
        return self._camera is not None and self._camera.figures().processor.sent > 0

    async def close(self) -> None:
        """See `Member`."""
        if self._ending is not None:
            self._ending.cancel()
            await asyncio.wait([self._ending])
        if self._camera is not None:
            await self._camera.close()

    async def _await_end(self, camera: Camera, context: WorkloadContext) -> None:
        await camera.ended.wait()
        failure = camera.figures().failure
        if failure:
            context.fail("SourceFailed", failure)
        else:
            context.results_changed()
            context.done()


def _source(spec: TrackingCamera, *, volumes: Path) -> SourceSettings:
    file = spec.source.file
    if spec.source.type is CameraSourceType.FILE and file is not None:
        path = volumes / names.TRACKING_SOURCE / file.path
        return SourceSettings(
            type=SourceType.FILE, url=str(path), loop=file.loop, fps=float(spec.fps)
        )
    return SourceSettings(type=SourceType.SYNTHETIC, fps=float(spec.fps))
