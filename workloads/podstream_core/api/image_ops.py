"""The image operations workload: pictures turned, filtered and converted over gRPC."""

from typing import Annotated

from msgspec import Meta, field

from podstream_core.api.base import ApiValue
from podstream_core.api.circle import LatencyMs
from podstream_core.api.image_batch import ImageBatch, ImageBatchResults


class ImageStream(ApiValue, frozen=True, kw_only=True):
    """`spec.imageOps.stream`: what is done to the frames of the session's stream."""

    operations: Annotated[
        list[Annotated[str, Meta(max_length=100)]], Meta(min_length=1, max_length=16)
    ]
    """As `podstream-image --apply` takes them: `turn=1`, `resize=800x0`."""


class ImageOps(ApiValue, frozen=True, kw_only=True):
    """`spec.imageOps`: bounds of the services; everything else comes with each call."""

    slo_ms: Annotated[int, Meta(ge=50, le=600_000)] = 4000
    """Time that a call may take; what by a table of costs takes longer is refused."""
    max_pixels: Annotated[int, Meta(ge=10_000, le=400_000_000)] | None = None
    """Of a picture, all its frames together, and of any picture on a chain's way; without it what
    `slo_ms` admits."""
    max_message_mib: Annotated[int, Meta(ge=4, le=512)] = field(default=64, name="maxMessageMiB")
    """Longest unary message in MiB, both directions."""
    max_upload_mib: Annotated[int, Meta(ge=1, le=8192)] = field(default=256, name="maxUploadMiB")
    """Longest picture that comes in chunks, MiB."""
    memory_mib: Annotated[int, Meta(ge=64, le=65_536)] = field(default=640, name="memoryMiB")
    """What all calls and kept pictures may take at a time, MiB."""
    max_calls: Annotated[int, Meta(ge=1, le=256)] = 32
    """Calls at a time."""
    workers: Annotated[int, Meta(ge=2, le=32)] = 2
    """Processes that work on pictures; one of them takes small pictures only."""
    timeout_seconds: Annotated[int, Meta(ge=1, le=3600)] = 60
    """For the work on one picture; a call's own deadline counts where it is earlier."""
    cpu_seconds: Annotated[int, Meta(ge=1, le=3600)] = 20
    """CPU time that one picture may take."""
    object_idle_seconds: Annotated[int, Meta(ge=10, le=86_400)] = 600
    """How long an uploaded picture is kept without being used."""
    batch: ImageBatch | None = None
    """Pictures that the session works through by itself; it completes with the last one."""
    stream: ImageStream | None = None
    """Beside the services: the stream's frames are worked on as well."""


class ImageOperationCounts(ApiValue, frozen=True, kw_only=True):
    """Operations that were applied."""

    turn: int = 0
    """Quarter turns, of both services."""
    rotate: int = 0
    mean: int = 0
    gaussian: int = 0
    resize: int = 0
    crop: int = 0
    flip: int = 0
    gray: int = 0
    convert: int = 0


class ImageRejections(ApiValue, frozen=True, kw_only=True):
    """Calls that were not answered with a result."""

    invalid: int = 0
    """Damaged pictures, wrong sizes, chains that do not fit."""
    too_large: int = 0
    busy: int = 0
    late: int = 0
    """Past the deadline or the time limit."""
    cancelled: int = 0
    failed: int = 0
    """The worker died over the picture, or another fault of ours."""


class ImageStreamResults(ApiValue, frozen=True, kw_only=True):
    """`status.results.imageOps.stream`."""

    frames: int = 0
    """That all operations were applied to."""
    dropped: int = 0
    """That a newer one replaced before their turn."""
    failed: int = 0
    restarts: int = 0
    """Of the process that works on them, after crashes."""
    width: int = 0
    """Of the results, pixels."""
    height: int = 0
    latency_ms: LatencyMs | None = None
    """From a frame's arrival in the pod to its result."""


class ImageOpsResults(ApiValue, frozen=True, kw_only=True):
    """`status.results.imageOps`."""

    calls: int = 0
    """Pictures that were answered with a result."""
    rejected: ImageRejections = ImageRejections()
    operations: ImageOperationCounts = ImageOperationCounts()
    bytes_in: int = 0
    """Of pictures, raw or encoded."""
    bytes_out: int = 0
    pixels: int = 0
    """Of the pictures that came in and were answered."""
    latency_ms: LatencyMs | None = None
    """From the whole picture's arrival to its result, the wait for a worker included."""
    batch: ImageBatchResults | None = None
    stream: ImageStreamResults | None = None
