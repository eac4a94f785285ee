"""A camera processor as the pod of a session (`spec.tracking.camera`).

Or beside others in one: its pictures may be the frames of the session's stream.
"""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from aiohttp import web

from podstream_core import names
from podstream_core.api import (
    CameraResults,
    CameraSourceType,
    TrackingCamera,
    TrackingQuality,
    TrackingResults,
)
from podstream_workloads.agent import Artefact, SpecRejected, UnsupportedOffer, WorkloadContext
from podstream_workloads.sharing import FrameReader
from podstream_workloads.tracking.edge.camera import Camera
from podstream_workloads.tracking.edge.errors import EdgeError
from podstream_workloads.tracking.edge.feed import Feed
from podstream_workloads.tracking.members.camera_settings import camera_settings
from podstream_workloads.tracking.members.feeding import StreamFeed
from podstream_workloads.tracking.metrics.mot import MotError

if TYPE_CHECKING:
    from podstream_workloads.tracking.members.camera_published import PublishedVideo
    from podstream_workloads.tracking.members.camera_pushed import PushedPictures

_SHOWN_CHARS: Final = 300
_DIGITS: Final = 6


class CameraMember:
    """Gets pictures, follows people, and dials its site."""

    def __init__(self, spec: TrackingCamera) -> None:
        self._spec = spec
        self._camera: Camera | None = None
        self._pushed: PushedPictures | None = None
        self._published: PublishedVideo | None = None
        self._feed: StreamFeed | None = None
        self._ending: asyncio.Task[None] | None = None
        self._quality: TrackingQuality | None = None

    @property
    def capacities(self) -> Mapping[str, int]:
        """See `Member`; nobody connects to a camera that fetches its pictures."""
        match self._spec.source.type:
            case CameraSourceType.WHIP:
                return {"publisher": 1}
            case CameraSourceType.SOCKET_IO:
                from podstream_workloads.tracking.members.camera_pushed import (  # noqa: PLC0415
                    CAPACITIES,
                )

                return CAPACITIES
            case _:
                return {}

    async def open(self, context: WorkloadContext) -> web.Application | None:
        """See `Member`."""
        settings = camera_settings(self._spec, context=context)
        try:
            camera = await asyncio.to_thread(Camera, settings)
        except EdgeError as error:
            raise SpecRejected(f"{error.reason}: {error}") from error
        except (MotError, OSError) as error:
            raise SpecRejected(f"spec.tracking.camera.truth: {error}") from error
        self._camera = camera
        if self._spec.source.type is CameraSourceType.STREAM:
            self._feed = await self._look_on(camera, context)
        await camera.open()
        if self._feed is not None:
            self._feed.start()
        match self._spec.source.type:
            case CameraSourceType.WHIP:
                from podstream_workloads.tracking.members.camera_published import (  # noqa: PLC0415
                    PublishedVideo,
                )

                feed = Feed(camera.frames, fps=float(self._spec.fps))
                self._published = PublishedVideo(
                    context, feed=feed, changed=context.results_changed
                )
            case CameraSourceType.SOCKET_IO:
                from podstream_workloads.tracking.members.camera_pushed import (  # noqa: PLC0415
                    PushedPictures,
                )

                self._pushed = PushedPictures(camera)
                return self._pushed.open()
            case _:
                self._ending = asyncio.create_task(self._await_end(camera, context), name="end")
        return None

    @property
    def artefacts(self) -> tuple[Artefact, ...]:
        """See `Member`: none."""
        return ()

    def results(self) -> TrackingResults:
        """See `Member`."""
        if self._camera is None:
            return TrackingResults(camera=CameraResults())
        found, feed = self._camera.figures(), self._feed
        dropped, refused, trouble = found.pipeline.dropped, 0, found.trouble
        if self._pushed is not None:
            dropped += self._pushed.dropped
            refused, trouble = self._pushed.refused, self._pushed.trouble
        if self._published is not None:
            dropped += self._published.dropped
            trouble = self._published.trouble
        if feed is not None:
            dropped += feed.dropped
        site = found.processor
        message = found.failure or trouble or ("" if site is None else site.last_error)
        return TrackingResults(
            camera=CameraResults(
                connected=site is not None and site.connected,
                connections=0 if site is None else site.connections,
                frames=found.pipeline.processed,
                dropped=dropped,
                refused=refused,
                skipped=0 if feed is None else feed.skipped,
                tracks=found.pipeline.tracks,
                present=found.present,
                sent=0 if site is None else site.sent,
                message=message[:_SHOWN_CHARS] or None,
                quality=self._quality,
            )
        )

    @property
    def is_finite(self) -> bool:
        """See `Member`."""
        return self._spec.source.is_finite

    @property
    def has_worked(self) -> bool:
        """See `Member`."""
        if self._camera is None:
            return False
        found = self._camera.figures()
        return found.processor.sent > 0 if found.processor else found.pipeline.processed > 0

    async def publish(self, connection_id: str, *, offer_sdp: str) -> str:
        """See `TakesVideo`."""
        if self._published is None:
            raise UnsupportedOffer(
                "the camera takes no video by WebRTC: set spec.tracking.camera.source.type to WHIP"
            )
        return await self._published.connect(connection_id, offer_sdp=offer_sdp)

    def redirect(self, port: int, address: tuple[str, int]) -> bool:
        """See `TakesVideo`."""
        return self._published is not None and self._published.redirect(port, address)

    async def leave(self, connection_id: str) -> None:
        """See `TakesVideo`."""
        if self._published is not None:
            await self._published.disconnect(connection_id)

    async def close(self) -> None:
        """See `Member`."""
        if self._ending is not None:
            self._ending.cancel()
            await asyncio.wait([self._ending])
        if self._published is not None:
            await self._published.close()
        if self._pushed is not None:
            await self._pushed.close()
        if self._feed is not None:
            await asyncio.to_thread(self._feed.close)
        if self._camera is not None:
            await self._camera.close()

    async def _look_on(self, camera: Camera, context: WorkloadContext) -> StreamFeed:
        path = context.shared_dir / names.SHARED_FRAMES
        try:
            reader = await asyncio.to_thread(FrameReader.connect, path)
        except OSError as error:
            raise SpecRejected(f"the session's stream shows no frames: {error}") from error
        return StreamFeed(reader, frames=camera.frames, fps=self._spec.fps)

    async def _await_end(self, camera: Camera, context: WorkloadContext) -> None:
        await camera.ended.wait()
        failure = camera.figures().failure
        if failure:
            context.fail("SourceFailed", failure)
            return
        self._quality = await _quality_of(camera)
        context.results_changed()
        context.done()


async def _quality_of(camera: Camera) -> TrackingQuality | None:
    """The run against its truth; `None` without any."""
    found = await camera.quality()
    if found is None:
        return None
    return TrackingQuality(
        mota=round(found.mota, _DIGITS),
        motp=round(found.motp, _DIGITS),
        idf1=round(found.idf1, _DIGITS),
        hota=round(found.hota, _DIGITS),
        frames=camera.judged_frames,
        switches=found.switches,
        misses=found.misses,
        false_positives=found.false_positives,
        people=found.people,
    )
