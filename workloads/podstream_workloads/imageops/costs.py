"""How long a call takes, before it is begun: what `spec.imageOps.sloMs` admits.

The table has the CPU time of one thread for a megapixel of RGB with 8 bits, as
`tests/bench/bench_image_ops.py` and `bench_image_limits.py` measure it on two cores of a virtual
machine; `docs/image-operations.md` shows it. A call's estimate is

    PER_CALL_MS + HEADROOM x (decoding + each operation + encoding) + WAY_MS_PER_MIB x bytes

where the bytes are those of the picture and of its result. `HEADROOM` covers what lies between the
mean on an idle core and the 99th percentile on busy ones; the way of the bytes is the client's
work, too. Pure: no pixels, no clock.
"""

import math
from bisect import bisect_left
from typing import Final

from podstream_workloads.imageops.headers import FileFormat
from podstream_workloads.imageops.operations.plan import Shape, TooLarge, quarter_turns, shapes_of
from podstream_workloads.imageops.operations.values import (
    Border,
    Convert,
    Crop,
    Flip,
    Gaussian,
    Gray,
    Interpolation,
    Mean,
    Operation,
    QuarterTurn,
    Resize,
    RotateDegrees,
    Space,
)
from podstream_workloads.imageops.output import Output, OutputFormat
from podstream_workloads.imageops.workers.jobs import FileSource, Job

PER_CALL_MS: Final = 10.0
HEADROOM: Final = 2.0
WAY_MS_PER_MIB: Final = 14.0
"""Through gRPC, in and out alike, client and server on the same two cores."""
REFERENCE_MS_PER_MEGAPIXEL: Final = 100.0
"""The slowest row of bench_image_limits.py: raw RGB in, Gaussian blur, raw RGB out."""
LEAST_PIXELS: Final = 10_000
MOST_PIXELS: Final = 400_000_000
_MIB: Final = 1 << 20

DECODING_MS: Final = {
    FileFormat.PNG: 15.0,
    FileFormat.JPEG: 6.0,
    FileFormat.WEBP: 14.0,
    FileFormat.TIFF: 15.0,
    FileFormat.GIF: 10.0,
    FileFormat.BMP: 0.5,
}
ENCODING_MS: Final = {
    OutputFormat.RAW: 0.0,
    OutputFormat.PNG: 28.0,
    OutputFormat.JPEG: 4.5,
    OutputFormat.WEBP: 85.0,
    OutputFormat.TIFF: 41.0,
}
LOSSLESS_WEBP_MS: Final = 290.0
_BYTES_PER_VALUE: Final = {
    OutputFormat.PNG: 0.6,
    OutputFormat.JPEG: 0.12,
    OutputFormat.WEBP: 0.05,
    OutputFormat.TIFF: 0.75,
}
"""Of a result, for a photograph with a little noise."""
WARP_MS: Final = {
    Interpolation.NEAREST: 3.0,
    Interpolation.LINEAR: 6.5,
    Interpolation.CUBIC: 13.0,
    Interpolation.AREA: 6.5,
    Interpolation.LANCZOS: 83.0,
}
"""Turning by degrees and resizing, for a megapixel of the result."""
GAUSSIAN_MS: Final = ((0.0, 1.5), (1.0, 2.0), (2.0, 3.4), (10.0, 23.0), (40.0, 180.0))
"""By sigma; between two of them in proportion."""
_TURN_MS: Final = 1.4
_MEAN_3X3_MS: Final = 1.3
_MEAN_EXISTING_MS: Final = 14.0
_MEAN_BORDERED_MS: Final = 2.0
_MOVE_MS: Final = 0.4
"""Flip, crop, gray, and reading a picture that is made smaller."""
_CONVERT_MS: Final = 1.2
_CONVERT_LAB_MS: Final = 4.5


def pixels_within(slo_ms: float) -> int:
    """The largest picture that a session admits for a time, whatever is done with it."""
    pixels = int(slo_ms / REFERENCE_MS_PER_MEGAPIXEL * 1e6)
    return min(max(pixels, LEAST_PIXELS), MOST_PIXELS)


def estimate_ms(job: Job) -> float:
    """What a call takes by the table, milliseconds."""
    shape = job.source.shape
    cpu_ms = 0.0
    if isinstance(job.source, FileSource):
        cpu_ms += DECODING_MS[job.source.header.format] * _megapixels(shape)
    for operation, after in zip(
        job.operations, shapes_of(job.operations, shape=shape), strict=True
    ):
        cpu_ms += _operation_ms(operation, shape, after)
        shape = after
    cpu_ms += _encoding_ms(job.output) * _megapixels(shape)
    result_bytes = shape.size * _BYTES_PER_VALUE.get(job.output.format, 1.0)
    way_ms = WAY_MS_PER_MIB * (job.input_bytes + result_bytes) / _MIB
    return PER_CALL_MS + HEADROOM * cpu_ms + way_ms


def require_within(job: Job, *, slo_ms: float) -> None:
    """Refuse work that the table does not see done in time.

    Raises:
        TooLarge: it takes longer; the message names the time and the size that keeps it.
    """
    estimate = estimate_ms(job)
    if estimate <= slo_ms:
        return
    pixels = job.source.shape.pixels
    share = max(0.0, slo_ms - PER_CALL_MS) / (estimate - PER_CALL_MS)
    raise TooLarge(
        f"{job.source.shape} with these operations would take about {math.ceil(estimate)} ms: the "
        f"session's limit is {slo_ms:g} ms (spec.imageOps.sloMs), which about "
        f"{pixels * share / 1e6:.3g} megapixels keep; spec.imageOps.maxPixels sets a limit "
        "regardless of time"
    )


def _operation_ms(operation: Operation, before: Shape, after: Shape) -> float:
    match operation:
        case QuarterTurn():
            return _TURN_MS * _megapixels(before)
        case RotateDegrees(degrees=degrees) if quarter_turns(degrees) is not None:
            return _TURN_MS * _megapixels(before)
        case RotateDegrees(interpolation=interpolation):
            return WARP_MS[interpolation] * _megapixels(after)
        case Resize(interpolation=interpolation):
            return WARP_MS[interpolation] * _megapixels(after) + _MOVE_MS * _megapixels(before)
        case Mean():
            return _mean_ms(operation, before) * _megapixels(before)
        case Gaussian(sigma=sigma):
            return _gaussian_ms(sigma) * _megapixels(before)
        case Crop() | Flip() | Gray():
            return _MOVE_MS * _megapixels(before)
        case Convert(space=space):
            is_lab = Space.LAB in (space, before.space)
            return (_CONVERT_LAB_MS if is_lab else _CONVERT_MS) * _megapixels(before)


def _mean_ms(operation: Mean, shape: Shape) -> float:
    if operation.border is not Border.EXISTING:
        return _MEAN_BORDERED_MS
    is_fast = operation.width == operation.height == 3 and shape.bytes_per_value == 1  # noqa: PLR2004 - 3x3
    return _MEAN_3X3_MS if is_fast else _MEAN_EXISTING_MS


def _gaussian_ms(sigma: float) -> float:
    index = bisect_left([known for known, _ in GAUSSIAN_MS], sigma)
    (low, low_ms), (high, high_ms) = GAUSSIAN_MS[index - 1 : index + 1]
    return low_ms + (high_ms - low_ms) * (sigma - low) / (high - low)


def _encoding_ms(output: Output) -> float:
    if output.format is OutputFormat.WEBP and output.lossless:
        return LOSSLESS_WEBP_MS
    return ENCODING_MS[output.format]


def _megapixels(shape: Shape) -> float:
    """Of RGB with 8 bits: a gray picture counts a third, 16 bits twice."""
    return shape.size / 3e6
