"""What `spec.tracking.camera` means to a camera."""

from pathlib import Path

from podstream_core import names
from podstream_core.api import CameraSourceType, TrackingCamera
from podstream_workloads.agent import WorkloadContext
from podstream_workloads.tracking.edge.camera import CameraSettings
from podstream_workloads.tracking.edge.settings import (
    EdgeSettings,
    ProcessorSettings,
    SourceSettings,
    SourceType,
)
from podstream_workloads.tracking.members.looking import detector_settings
from podstream_workloads.tracking.members.peer import PeerSession


def camera_settings(spec: TrackingCamera, *, context: WorkloadContext) -> CameraSettings:
    """Settings of a camera.

    Raises:
        SpecRejected: the pod was not made for this.
    """
    volumes = context.volumes_dir
    return CameraSettings(
        source=_source(spec, volumes=volumes),
        processor=_processor(spec, context=context),
        edge=EdgeSettings(detector=detector_settings(spec.detector, volumes=volumes)),
        truth=None if spec.truth is None else volumes / names.TRACKING_TRUTH / spec.truth.path,
    )


def _processor(spec: TrackingCamera, *, context: WorkloadContext) -> ProcessorSettings | None:
    """The way to its site, where it has one.

    Raises:
        SpecRejected: the pod does not know the way.
    """
    if spec.site_ref is None:
        return None
    peer = PeerSession.of(spec.site_ref, context=context)
    token = context.volumes_dir / names.TRACKING_TOKEN / names.SECRET_TOKEN_KEY
    return ProcessorSettings(
        url=f"ws{peer.url.removeprefix('http')}/processor",
        camera_id=spec.id,
        bearer_file=peer.token_file,
        token_file=None if spec.token_secret_ref is None else token,
    )


def _source(spec: TrackingCamera, *, volumes: Path) -> SourceSettings:
    source, fps = spec.source, float(spec.fps)
    if source.is_client or source.type is CameraSourceType.STREAM:
        return SourceSettings(type=SourceType.FED, fps=fps)
    if source.type is CameraSourceType.FILE and source.file is not None:
        path = volumes / names.TRACKING_SOURCE / source.file.path
        return SourceSettings(
            type=SourceType.FILE,
            url=str(path),
            loop=source.file.loop,
            every_frame=spec.truth is not None,
            fps=fps,
        )
    if source.type is CameraSourceType.RTSP and source.rtsp is not None:
        timeout_s = float(source.rtsp.timeout_seconds)
        return SourceSettings(
            type=SourceType.RTSP, url=source.rtsp.url, fps=fps, timeout_s=timeout_s
        )
    return SourceSettings(type=SourceType.SYNTHETIC, fps=fps)
