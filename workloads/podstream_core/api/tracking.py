"""The tracking workload: what follows persons from camera to camera; `spec.tracking`."""

from enum import StrEnum
from typing import Annotated, Final

from msgspec import Meta

from podstream_core.api.base import ApiValue
from podstream_core.api.recording import SecretRef
from podstream_core.api.stream import StreamRtsp

_BELOW: Final = r"^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$"


class PublicKeyRef(ApiValue, frozen=True, kw_only=True):
    """`spec.tracking.orchestrator.auth.publicKey`: an object of the session's namespace."""

    secret_name: str | None = None
    config_map_name: str | None = None
    key: Annotated[str, Meta(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")] = (
        "public.pem"
    )
    """Key of that object, whose value is an RSA public key in PEM."""


class OrchestratorAuth(ApiValue, frozen=True, kw_only=True):
    """`spec.tracking.orchestrator.auth`: tokens of the site's own users, inside its protocol."""

    public_key: PublicKeyRef
    audience: Annotated[str, Meta(min_length=1, max_length=253)]
    """`aud` of a token, and the name under `resource_access` that lists its roles."""
    client_role: Annotated[str, Meta(min_length=1, max_length=253)] | None = None
    """Without it clients need no token."""
    processor_role: Annotated[str, Meta(min_length=1, max_length=253)] | None = None
    """Without it processors need no token."""
    open_timelines: bool = False


class TimelineVolume(ApiValue, frozen=True, kw_only=True):
    """`spec.tracking.orchestrator.timelines.volume`."""

    claim_name: str
    """PersistentVolumeClaim of the session's namespace."""
    path: Annotated[str, Meta(max_length=512, pattern=_BELOW)] | None = None
    """Folder below its root; `None`: the root."""


class TimelineStoreType(StrEnum):
    """What keeps objects and timelines."""

    SQLITE = "SQLite"
    """A file, on the volume or on the pod's own disk."""
    POSTGRESQL = "PostgreSQL"
    """A database that sites may share."""


class SecretKeyRef(ApiValue, frozen=True, kw_only=True):
    """One value of a Secret of the session's namespace."""

    name: str
    key: Annotated[str, Meta(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")] = "url"


class TimelinePostgresql(ApiValue, frozen=True, kw_only=True):
    """`spec.tracking.orchestrator.timelines.postgresql`."""

    url_secret_ref: SecretKeyRef
    """Of a `postgresql://` URL with user and password."""


class OrchestratorTimelines(ApiValue, frozen=True, kw_only=True):
    """`spec.tracking.orchestrator.timelines`."""

    store: TimelineStoreType = TimelineStoreType.SQLITE
    volume: TimelineVolume | None = None
    """Of SQLite. Without it objects and timelines go with the pod."""
    postgresql: TimelinePostgresql | None = None
    """Of PostgreSQL."""


class TrackingOrchestrator(ApiValue, frozen=True, kw_only=True):
    """`spec.tracking.orchestrator`: a site."""

    max_cameras: Annotated[int, Meta(ge=1, le=256)] = 32
    """Processors at a time."""
    max_clients: Annotated[int, Meta(ge=1, le=1000)] = 64
    max_tracked_seconds: Annotated[int, Meta(ge=0, le=604_800)] = 0
    """Of an object, from its start; 0: without end."""
    idle_seconds: Annotated[int, Meta(ge=0, le=604_800)] = 0
    """Of an object, since it was seen last; 0: without end."""
    compat: bool = False
    auth: OrchestratorAuth | None = None
    origins: list[Annotated[str, Meta(max_length=253, pattern=r"^https?://[^/\s]+$")]] = []
    """Whose pages may connect, as a browser's `Origin` names them; none: all."""
    timelines: OrchestratorTimelines = OrchestratorTimelines()


class SessionReference(ApiValue, frozen=True, kw_only=True):
    """Another session of the namespace, whose pod this one's reaches through the router."""

    name: Annotated[str, Meta(min_length=1, max_length=253)]


class DetectorMethod(StrEnum):
    """How people are found in a picture."""

    MOTION = "Motion"
    """What moves before a still camera."""
    HOG = "Hog"
    """OpenCV's histogram of oriented gradients for people."""
    HAAR = "Haar"
    """OpenCV's cascades for bodies."""
    ONNX = "Onnx"
    """A network in YOLOv8's layout, from a volume."""


class ModelFile(ApiValue, frozen=True, kw_only=True):
    """A file on a volume of the session's namespace."""

    claim_name: str
    path: Annotated[str, Meta(min_length=1, max_length=512, pattern=_BELOW)]
    """Below the volume's root."""


class TrackingDetector(ApiValue, frozen=True, kw_only=True):
    """`detector` of a camera or an edge."""

    method: DetectorMethod = DetectorMethod.MOTION
    confidence: Annotated[float, Meta(ge=0.01, le=1)] = 0.5
    """Least score that counts."""
    model: ModelFile | None = None
    """Of Onnx."""


class EdgeDetector(TrackingDetector, frozen=True, kw_only=True):
    """`spec.tracking.edge.detector`: it judges single pictures of many cameras."""

    method: DetectorMethod = DetectorMethod.HOG


class CameraSourceType(StrEnum):
    """Where a camera's pictures come from."""

    FILE = "File"
    RTSP = "RTSP"
    """The pod pulls the video of a camera or server."""
    WHIP = "WHIP"
    """A client publishes over WebRTC."""
    SOCKET_IO = "SocketIO"
    """A client sends pictures, as it would to the edge of intruder detection."""
    SYNTHETIC = "Synthetic"
    """A drawn scene with two people, without an end."""
    STREAM = "Stream"
    """The frames of the session's stream."""


class MountedFile(ApiValue, frozen=True, kw_only=True):
    """A file of a claim or of a ConfigMap; one of the two is set."""

    claim_name: str | None = None
    config_map_name: str | None = None
    path: Annotated[str, Meta(min_length=1, max_length=512, pattern=_BELOW)]
    """Below the volume's root; a key of the ConfigMap."""


class CameraFile(MountedFile, frozen=True, kw_only=True):
    """`spec.tracking.camera.source.file`."""

    loop: bool = False


class CameraSource(ApiValue, frozen=True, kw_only=True):
    """`spec.tracking.camera.source`."""

    type: CameraSourceType = CameraSourceType.SYNTHETIC
    file: CameraFile | None = None
    """Of File."""
    rtsp: StreamRtsp | None = None
    """Of RTSP."""

    @property
    def is_client(self) -> bool:
        """Whether pictures come from a client."""
        return self.type in (CameraSourceType.WHIP, CameraSourceType.SOCKET_IO)

    @property
    def is_finite(self) -> bool:
        """Whether it ends by itself."""
        plays_once = self.file is not None and not self.file.loop
        return self.type is CameraSourceType.FILE and plays_once


class TokenSecretRef(SecretKeyRef, frozen=True, kw_only=True):
    """`spec.tracking.camera.tokenSecretRef`."""

    key: Annotated[str, Meta(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")] = "token"


class TrackingCamera(ApiValue, frozen=True, kw_only=True):
    """`spec.tracking.camera`: a processor that dials its site."""

    id: Annotated[str, Meta(min_length=1, max_length=64)]
    """By which the site's clients name it."""
    site_ref: SessionReference | None = None
    """With source Stream it may be missing: who is seen is only counted then."""
    source: CameraSource = CameraSource()
    detector: TrackingDetector = TrackingDetector()
    fps: Annotated[int, Meta(ge=1, le=60)] = 10
    """Pictures a second that are looked at, at most; SocketIO: all of them are."""
    token_secret_ref: TokenSecretRef | None = None
    """Of the token that the site's own auth asks processors for."""
    truth: MountedFile | None = None
    """Where everybody is in each frame of the file, in the MOT challenge's format."""


class TrackingEdge(ApiValue, frozen=True, kw_only=True):
    """`spec.tracking.edge`: Socket.IO cameras and alarms dial in; a cloud says who is known."""

    cloud_ref: SessionReference
    max_connections: Annotated[int, Meta(ge=1, le=256)] = 16
    detector: EdgeDetector = EdgeDetector()
    evidence_pictures: Annotated[int, Meta(ge=0, le=100)] = 0
    """Pictures of alarms that are kept, the newest ones."""
    upload_page: bool = False


class RecognitionMethod(StrEnum):
    """Who says whether a face is known."""

    LOCAL = "Local"
    """The pod itself, with a gallery."""
    REKOGNITION = "Rekognition"
    """AWS, with a collection of faces."""


class FacesFolder(ApiValue, frozen=True, kw_only=True):
    """`spec.tracking.recognition.rekognition.faces`: pictures, each named like its person."""

    claim_name: str
    path: Annotated[str, Meta(max_length=512, pattern=_BELOW)] | None = None
    """Folder below the volume's root; `None`: the root."""


class Rekognition(ApiValue, frozen=True, kw_only=True):
    """`spec.tracking.recognition.rekognition`."""

    credentials_secret_ref: SecretRef
    """With AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and perhaps AWS_SESSION_TOKEN."""
    region: Annotated[str, Meta(max_length=32, pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]+$")] = (
        "us-east-1"
    )
    endpoint_url: (
        Annotated[str, Meta(max_length=512, pattern=r"^https?://[^/\s@]+(/\S*)?$")] | None
    ) = None
    """Instead of AWS's own address."""
    collection: Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[a-zA-Z0-9_.-]+$")] = (
        "known_persons"
    )
    faces: FacesFolder | None = None
    """Who is put into the collection at the start."""
    similarity: Annotated[float, Meta(ge=0, le=100)] = 75
    """Least likeness that counts as known, percent."""
    requests_per_second: Annotated[float, Meta(ge=0.1, le=1000)] = 5


class TrackingRecognition(ApiValue, frozen=True, kw_only=True):
    """`spec.tracking.recognition`: says whether a face is known."""

    method: RecognitionMethod = RecognitionMethod.LOCAL
    gallery: ModelFile | None = None
    """Of Local; made by `podstream-faces train`."""
    threshold: Annotated[float, Meta(ge=-1, le=1)] | None = None
    """Of Local; instead of the gallery's own."""
    rekognition: Rekognition | None = None
    """Of Rekognition."""
    upload_page: bool = False


class Tracking(ApiValue, frozen=True, kw_only=True):
    """`spec.tracking`: one of its members is set."""

    orchestrator: TrackingOrchestrator | None = None
    camera: TrackingCamera | None = None
    edge: TrackingEdge | None = None
    recognition: TrackingRecognition | None = None

    @property
    def dials(self) -> SessionReference | None:
        """The session that this one's pod reaches."""
        if self.camera is not None:
            return self.camera.site_ref
        return None if self.edge is None else self.edge.cloud_ref

    @property
    def needs_client(self) -> bool:
        """Whether nothing goes on until somebody connects."""
        if self.looks_at_stream:  # it waits for what the stream waits for
            return True
        if self.camera is not None:
            return self.camera.source.is_client
        return self.recognition is None  # it only answers

    @property
    def looks_at_stream(self) -> bool:
        """Whether its pictures are the frames of the session's stream."""
        return self.camera is not None and self.camera.source.type is CameraSourceType.STREAM
