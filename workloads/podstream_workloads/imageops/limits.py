"""What one session's image service may be asked for."""

from dataclasses import dataclass
from typing import Final

from podstream_core.api import ImageOps
from podstream_workloads.imageops.costs import pixels_within
from podstream_workloads.imageops.headers import HeaderLimits

MIB: Final = 1024 * 1024
MESSAGE_OVERHEAD_BYTES: Final = 4096
"""Of a message around its picture's bytes."""
CHUNK_BYTES: Final = 1 * MIB
"""Size of chunks that are sent: 64 KiB halves the throughput, 4 MiB are slower again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceLimits:
    """Bounds of the service, in bytes, pixels and seconds."""

    max_pixels: int
    slo_ms: float | None
    """Time that a call may take by the table of `costs`; `None` where `maxPixels` alone counts."""
    max_message_bytes: int
    max_upload_bytes: int
    memory_bytes: int
    max_calls: int
    timeout_s: float
    cpu_s: float
    workers: int
    object_idle_s: float

    @classmethod
    def of(cls, spec: ImageOps) -> "ServiceLimits":
        """The limits that a session's spec sets."""
        return cls(
            max_pixels=spec.max_pixels or pixels_within(spec.slo_ms),
            slo_ms=None if spec.max_pixels else float(spec.slo_ms),
            max_message_bytes=spec.max_message_mib * MIB,
            max_upload_bytes=spec.max_upload_mib * MIB,
            memory_bytes=spec.memory_mib * MIB,
            max_calls=spec.max_calls,
            timeout_s=float(spec.timeout_seconds),
            cpu_s=float(spec.cpu_seconds),
            workers=spec.workers,
            object_idle_s=float(spec.object_idle_seconds),
        )

    @property
    def pixel_rule(self) -> str:
        """Where `max_pixels` comes from, for the words of a refusal."""
        if self.slo_ms is None:
            return "spec.imageOps.maxPixels"
        return f"spec.imageOps.sloMs is {self.slo_ms:g}; spec.imageOps.maxPixels sets another limit"

    @property
    def header(self) -> HeaderLimits:
        """What a picture file may claim."""
        return HeaderLimits(max_pixels=self.max_pixels)
