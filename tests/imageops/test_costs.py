"""What `spec.imageOps.sloMs` admits: the table of costs, and refusals by it."""

from dataclasses import replace
from typing import Any

import grpc
import pytest

from imageops.hostile import encoded
from imageops.server import Images, collect, noise, raw, requests, running
from podstream_core.api import ImageOps
from podstream_workloads.imageops.costs import estimate_ms, pixels_within, require_within
from podstream_workloads.imageops.headers import FileFormat, Header
from podstream_workloads.imageops.limits import MIB, ServiceLimits
from podstream_workloads.imageops.operations.plan import TooLarge
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
    Turn,
)
from podstream_workloads.imageops.output import Output, OutputFormat
from podstream_workloads.imageops.wire import podstream_image_v1_pb2 as pb
from podstream_workloads.imageops.workers.jobs import FileSource, Job, RawSource, make_job

GAUSSIAN = Gaussian(sigma=2)
EVERY: list[Operation] = [
    QuarterTurn(turn=Turn.NINETY),
    RotateDegrees(degrees=10),
    RotateDegrees(degrees=180),
    Mean(),
    Mean(width=9, height=9),
    Mean(border=Border.REFLECT),
    GAUSSIAN,
    Gaussian(sigma=40),
    Gaussian(sigma=0.1),
    Resize(width=100),
    Resize(width=100, interpolation=Interpolation.LANCZOS),
    Crop(width=5, height=5),
    Flip(horizontal=True),
    Gray(),
    Convert(space=Space.LAB),
    Convert(space=Space.HSV),
]


def job(
    width: int,
    height: int,
    *operations: Operation,
    output: OutputFormat = OutputFormat.RAW,
    file: FileFormat | None = None,
    lossless: bool = False,
) -> Job:
    """Work on an RGB picture; of a file, a tenth of whose bytes are left."""
    source: RawSource | FileSource = RawSource(width=width, height=height, space=Space.RGB)
    size = width * height * 3
    if file is not None:
        size //= 10
        source = FileSource(
            header=Header(
                format=file, width=width, height=height, is_gray=False, bits=8, frames=1,
                orientation=1, decode_bytes=width * height * 3,
            )
        )  # fmt: skip
    return make_job(
        source,
        input_bytes=size,
        operations=operations,
        output=Output(format=output, lossless=lossless),
        max_pixels=10**9,
    )


def test_the_default_admits_forty_megapixels_and_a_second_ten() -> None:
    assert ServiceLimits.of(ImageOps()).max_pixels == 40_000_000
    assert pixels_within(1000) == 10_000_000
    assert (pixels_within(50), pixels_within(10**9)) == (500_000, 400_000_000)


def test_a_maximum_that_is_set_wins() -> None:
    limits = ServiceLimits.of(ImageOps(slo_ms=100, max_pixels=50_000_000))
    assert (limits.max_pixels, limits.slo_ms) == (50_000_000, None)
    assert limits.pixel_rule == "spec.imageOps.maxPixels"


@pytest.mark.parametrize("slo_ms", [200, 1000, 4000, 30_000])
def test_the_largest_picture_may_have_every_row_of_the_table(slo_ms: int) -> None:
    """What a session admits by its size is not refused by its time for the plain operations."""
    side = int(pixels_within(slo_ms) ** 0.5)
    for operation in (QuarterTurn(turn=Turn.NINETY), Mean(), GAUSSIAN):
        require_within(job(side, side, operation), slo_ms=slo_ms)
    jpeg = job(side, side, EVERY[0], output=OutputFormat.JPEG, file=FileFormat.JPEG)
    require_within(jpeg, slo_ms=slo_ms)


@pytest.mark.parametrize("operation", EVERY, ids=str)
def test_each_operation_costs_something(operation: Operation) -> None:
    once = estimate_ms(job(1000, 1000, Crop(width=900, height=900), operation))
    twice = estimate_ms(job(1000, 1000, Crop(width=900, height=900), operation, operation))
    assert twice > once
    if not isinstance(operation, (Crop, Resize, Gray)):  # these leave less to send back
        assert once > estimate_ms(job(1000, 1000, Crop(width=900, height=900)))


def test_every_format_has_a_cost() -> None:
    times = {
        (file, kind): estimate_ms(job(1000, 1000, output=kind, file=file))
        for file in FileFormat
        for kind in OutputFormat
    }
    assert min(times.values()) > 0
    assert times[FileFormat.PNG, OutputFormat.WEBP] > times[FileFormat.PNG, OutputFormat.JPEG]
    lossless = job(1000, 1000, output=OutputFormat.WEBP, lossless=True, file=FileFormat.PNG)
    assert estimate_ms(lossless) > times[FileFormat.PNG, OutputFormat.WEBP]


def test_wider_windows_take_longer() -> None:
    times = [estimate_ms(job(500, 500, Gaussian(sigma=s))) for s in (0.3, 1, 1.5, 2, 7, 10, 39, 40)]
    assert times == sorted(times)
    assert len(set(times)) == len(times)


def test_what_is_made_smaller_costs_less_from_there_on() -> None:
    heavy = Gaussian(sigma=10)
    small_first = estimate_ms(job(4000, 3000, Resize(width=400), heavy))
    assert small_first < estimate_ms(job(4000, 3000, heavy, Resize(width=400))) * 0.6


def test_a_refusal_names_the_time_and_a_size_that_keeps_it() -> None:
    chain = [Gaussian(sigma=40)] * 20
    with pytest.raises(TooLarge, match=r"1000 ms \(spec\.imageOps\.sloMs\)") as caught:
        require_within(job(3000, 2000, *chain), slo_ms=1000)
    assert "0.136 megapixels" in str(caught.value)
    require_within(job(408, 333, *chain), slo_ms=1000)  # 0.136 megapixels


LIMITS = replace(ServiceLimits.of(ImageOps(slo_ms=100)), max_upload_bytes=64 * MIB)


def refused(images: Images, data: bytes, **header: Any) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        collect(images.process(requests(data, **header)))
    error: Any = caught.value
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    return error.details()  # type: ignore[no-any-return]


def test_the_service_refuses_by_size_and_by_time() -> None:
    turn = [pb.Operation(turn=pb.Turn(quarters=1))]
    with running(LIMITS) as service, service.channel() as channel:
        images = Images(channel)
        limits = images.get_limits(pb.GetLimitsRequest())
        assert (limits.max_pixels, limits.slo_ms) == (1_000_000, 100)
        small, large = noise(400, 400), noise(1001, 1000)
        answer = collect(images.process(requests(small.tobytes(), input=raw(small))))
        assert answer.result.size == small.nbytes
        files = {"raw": large.tobytes(), "file": encoded(".png", large)}
        for name, data in files.items():
            form = {"input": raw(large)} if name == "raw" else {}
            text = str(refused(images, data, operations=turn, **form))
            assert "at most 1000000" in text
            assert "spec.imageOps.sloMs is 100" in text
        grown = [pb.Operation(resize=pb.Resize(width=2000))]
        text = str(refused(images, small.tobytes(), input=raw(small), operations=grown))
        assert "sloMs is 100" in text
        slow = [pb.Operation(gaussian=pb.Gaussian(sigma=40))] * 3
        text = str(refused(images, small.tobytes(), input=raw(small), operations=slow))
        assert "100 ms (spec.imageOps.sloMs)" in text
        assert "megapixels keep" in text
    rejected = service.statistics.results().rejected
    assert rejected.too_large == 4
