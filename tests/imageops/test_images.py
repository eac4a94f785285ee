"""podstream.image.v1: chunks, chains, progress, objects, limits, deadlines."""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf import descriptor_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from imageops import hostile, reflected
from imageops.server import LIMITS, Images, Running, collect, noise, raw, requests
from podstream_workloads.imageops.operations.blur import mean
from podstream_workloads.imageops.operations.values import Mean
from podstream_workloads.imageops.wire import podstream_image_v1_pb2 as pb

TURN = pb.Operation(turn=pb.Turn(quarters=1))
MEAN = pb.Operation(mean=pb.Mean())
SLOW = [pb.Operation(gaussian=pb.Gaussian(sigma=40))] * 20


@pytest.fixture
def images(service: Running) -> Iterator[Images]:
    with service.channel() as channel:
        yield Images(channel)


@pytest.fixture(autouse=True)
def nothing_is_left(service: Running) -> Iterator[None]:
    """Whatever a test does, all memory is free again in the end."""
    yield
    eventually(lambda: service.free_memory() == LIMITS.memory_bytes)


def eventually(condition: Callable[[], bool]) -> None:
    """Wait for a condition, which must come."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def trailer(error: Any, key: str) -> str:
    """A trailing metadatum of a refusal."""
    (value,) = [value for name, value in error.trailing_metadata() if name == key]
    return str(value)


def refused(code: grpc.StatusCode, call: Any, *arguments: Any, **options: Any) -> str:
    """Details of a call that must be refused."""

    def run() -> None:
        answer = call(*arguments, **options)
        if hasattr(answer, "__iter__"):
            list(answer)

    with pytest.raises(grpc.RpcError) as caught:
        run()
    assert caught.value.code() is code, caught.value.details()
    return str(caught.value.details())


class TestProcess:
    def test_raw_picture_through_a_chain(self, images: Images) -> None:
        picture = noise(300, 200)
        digest = hashlib.sha256(picture.tobytes()).digest()
        outcome = collect(
            images.process(
                requests(
                    picture.tobytes(), input=raw(picture), operations=[TURN, MEAN], sha256=digest
                )
            )
        )
        expected = mean(np.ascontiguousarray(np.rot90(picture)), Mean())
        assert outcome.data == expected.tobytes()
        assert (outcome.result.width, outcome.result.height) == (200, 300)
        assert (outcome.result.space, outcome.result.bits) == (pb.SPACE_RGB, 8)
        assert outcome.progress == []

    def test_sixteen_bits(self, images: Images) -> None:
        picture = noise(30, 20, colour=False).astype("<u2") * 257
        outcome = collect(
            images.process(requests(picture.tobytes(), input=raw(picture), operations=[TURN]))
        )
        assert outcome.data == np.ascontiguousarray(np.rot90(picture)).tobytes()
        assert outcome.result.bits == 16

    @pytest.mark.parametrize("extension", [".png", ".jpg", ".webp", ".tiff", ".bmp", ".gif"])
    @pytest.mark.parametrize(
        "output", [pb.FORMAT_PNG, pb.FORMAT_JPEG, pb.FORMAT_WEBP, pb.FORMAT_TIFF, pb.FORMAT_RAW]
    )
    def test_files_of_every_format(self, images: Images, extension: str, output: pb.Format) -> None:
        file = hostile.encoded(extension)
        outcome = collect(
            images.process(requests(file, operations=[TURN], output=pb.Output(format=output)))
        )
        assert (outcome.result.width, outcome.result.height) == (12, 20)
        assert outcome.result.format == output

    def test_png_survives_bit_by_bit(self, images: Images) -> None:
        file = hostile.encoded(".png")
        outcome = collect(images.process(requests(file, output=pb.Output(format=pb.FORMAT_PNG))))
        again = collect(images.process(requests(outcome.data)))
        assert again.data == hostile.NOISE[:, :, ::-1].tobytes()

    def test_exif_orientation_is_applied_and_dropped(self, images: Images) -> None:
        file = hostile.with_exif(hostile.encoded(".jpg"), 6)
        outcome = collect(images.process(requests(file, output=pb.Output(format=pb.FORMAT_JPEG))))
        assert (outcome.result.width, outcome.result.height) == (12, 20)
        assert b"Exif" not in outcome.data

    def test_all_operations_in_one_chain(self, images: Images) -> None:
        picture = noise(80, 60)
        operations = [
            TURN,
            pb.Operation(rotate=pb.Rotate(degrees=30, fill=9)),
            pb.Operation(mean=pb.Mean(width=5, border=pb.BORDER_REFLECT)),
            pb.Operation(gaussian=pb.Gaussian(sigma=1.5)),
            pb.Operation(resize=pb.Resize(width=64, interpolation=pb.INTERPOLATION_CUBIC)),
            pb.Operation(crop=pb.Crop(x=1, y=2, width=30, height=20)),
            pb.Operation(flip=pb.Flip(horizontal=True)),
            pb.Operation(convert=pb.Convert(space=pb.SPACE_BGR)),
            pb.Operation(gray=pb.Gray()),
        ]
        outcome = collect(
            images.process(
                requests(
                    picture.tobytes(), input=raw(picture), operations=operations, progress=True
                )
            )
        )
        assert (outcome.result.width, outcome.result.height) == (30, 20)
        assert outcome.result.space == pb.SPACE_GRAY
        steps = [(item.done, item.total) for item in outcome.progress]
        assert steps == [(done, 9) for done in range(10)]

    def test_progress_while_bytes_arrive(self, images: Images) -> None:
        picture = noise(2400, 2400)
        outcome = collect(
            images.process(
                requests(picture.tobytes(), input=raw(picture), progress=True, chunk=1 << 20)
            )
        )
        receiving = [item for item in outcome.progress if item.stage == pb.Progress.STAGE_RECEIVING]
        assert [item.done for item in receiving] == [8 << 20, 16 << 20]
        assert {item.total for item in receiving} == {picture.nbytes}

    @pytest.mark.parametrize(
        ("header", "message"),
        [
            pytest.param({"size": 0}, "size must be", id="no-size"),
            pytest.param({"size": -1}, "size must be", id="negative-size"),
            pytest.param({"size": 11}, "more data than", id="more-than-declared"),
            pytest.param({"size": 13}, "12 bytes of data", id="less-than-declared"),
            pytest.param({"sha256": b"x" * 32}, "checksum", id="checksum"),
            pytest.param({"input": pb.Input()}, "no picture file", id="not-a-file"),
            pytest.param(
                {"input": pb.Input(raw=pb.Raw(width=5, height=4))}, "does not correspond", id="form"
            ),
            pytest.param(
                {"input": pb.Input(raw=pb.Raw(width=4, height=1, bits=9))}, "8 or 16", id="bits"
            ),
            pytest.param({"operations": [pb.Operation()]}, "operation 1 is none", id="unknown"),
            pytest.param(
                {"operations": [TURN, pb.Operation(gaussian=pb.Gaussian(sigma=99))]},
                "operation 2: ",
                id="bound",
            ),
            pytest.param(
                {"operations": [pb.Operation(crop=pb.Crop(width=9, height=9))]},
                "does not lie inside",
                id="crop",
            ),
            pytest.param({"output": pb.Output(format=pb.FORMAT_GIF)}, "output format", id="output"),
            pytest.param(
                {"output": pb.Output(format=pb.FORMAT_JPEG, quality=101)}, "output", id="quality"
            ),
        ],
    )
    def test_wrong_requests(self, images: Images, header: dict[str, Any], message: str) -> None:
        fields: dict[str, Any] = {"input": pb.Input(raw=pb.Raw(width=4, height=1)), **header}
        details = refused(
            grpc.StatusCode.INVALID_ARGUMENT, images.process, requests(bytes(12), **fields)
        )
        assert message in details

    def test_first_message_must_be_the_header(self, images: Images) -> None:
        for wrong in (iter([pb.ProcessRequest(data=b"x")]), iter([])):
            details = refused(grpc.StatusCode.INVALID_ARGUMENT, images.process, wrong)
            assert "first message must be the header" in details

    @pytest.mark.parametrize(
        ("data", "code"),
        [
            pytest.param(
                hostile.png_of_zeros(10_000, 10_000), grpc.StatusCode.RESOURCE_EXHAUSTED, id="bomb"
            ),
            pytest.param(hostile.jpeg_of_scans(65), grpc.StatusCode.RESOURCE_EXHAUSTED, id="scans"),
            pytest.param(
                hostile.encoded(".png")[:-30] + bytes(18) + b"IEND\xaeB`\x82",
                grpc.StatusCode.INVALID_ARGUMENT,
                id="damaged",
            ),
            pytest.param(b"<svg/>" * 10, grpc.StatusCode.INVALID_ARGUMENT, id="svg"),
        ],
    )
    def test_hostile_files(self, images: Images, data: bytes, code: grpc.StatusCode) -> None:
        refused(code, images.process, requests(data))

    def test_declared_size_above_the_limit_is_refused_before_data(self, images: Images) -> None:
        sent = []

        def endless() -> Iterator[pb.ProcessRequest]:
            yield pb.ProcessRequest(header=pb.ProcessHeader(size=LIMITS.max_upload_bytes + 1))
            while True:
                sent.append(1)
                yield pb.ProcessRequest(data=bytes(1 << 20))

        refused(grpc.StatusCode.RESOURCE_EXHAUSTED, images.process, endless())
        # What flow control lets through, never the whole picture.
        assert len(sent) < LIMITS.max_upload_bytes >> 20

    def test_growth_beyond_the_budget_is_refused(self, images: Images) -> None:
        picture = noise(10, 10)
        huge = pb.Operation(resize=pb.Resize(width=20_000))
        details = refused(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            images.process,
            requests(picture.tobytes(), input=raw(picture), operations=[huge]),
        )
        assert "operation 1 would give 20000x20000" in details


class TestEnds:
    def test_deadline_ends_the_work(self, images: Images, service: Running) -> None:
        picture = noise(3000, 2000)
        pool = service.server.pool
        eventually(lambda: pool.free == LIMITS.workers)
        before = pool.deaths
        begun = time.monotonic()
        with pytest.raises(grpc.RpcError) as caught:
            collect(
                images.process(
                    requests(picture.tobytes(), input=raw(picture), operations=SLOW), timeout=3
                )
            )
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert time.monotonic() - begun < 8
        eventually(lambda: pool.deaths == before + 1)  # the worker does not go on for nobody
        self.serves_again(images)

    @pytest.mark.parametrize("progress", [True, False])
    def test_cancellation_ends_the_work(
        self, images: Images, service: Running, progress: bool
    ) -> None:
        picture = noise(3000, 2000)
        pool = service.server.pool
        eventually(lambda: pool.free == LIMITS.workers)
        before = pool.deaths
        call = images.process(
            requests(picture.tobytes(), input=raw(picture), operations=SLOW, progress=progress)
        )
        eventually(lambda: pool.free < LIMITS.workers)
        call.cancel()
        with pytest.raises(grpc.RpcError):
            list(call)
        eventually(lambda: pool.deaths == before + 1)
        self.serves_again(images)

    def test_connection_lost_while_uploading(self, service: Running) -> None:
        gate = threading.Event()

        def stalled() -> Iterator[pb.ProcessRequest]:
            yield pb.ProcessRequest(header=pb.ProcessHeader(size=1000))
            yield pb.ProcessRequest(data=bytes(500))
            gate.wait(10)

        channel = service.channel()
        call = Images(channel).process(stalled())
        eventually(lambda: service.free_memory() < LIMITS.memory_bytes)
        channel.close()
        gate.set()
        with pytest.raises(grpc.RpcError):
            list(call)

    def serves_again(self, images: Images) -> None:
        picture = noise(4, 4)
        outcome = collect(
            images.process(requests(picture.tobytes(), input=raw(picture), operations=[TURN]))
        )
        assert outcome.result.size == picture.nbytes


def upload(
    images: Images, name: str, data: bytes, *, begin: int = 0, end: int | None = None, **last: Any
) -> pb.Object:
    def parts() -> Iterator[pb.UploadRequest]:
        yield pb.UploadRequest(name=name, size=len(data))
        for at in range(begin, len(data) if end is None else end, 1000):
            yield pb.UploadRequest(offset=at, data=data[at : min(at + 1000, end or len(data))])
        if last:
            yield pb.UploadRequest(**last)

    answer: pb.Object = images.upload(parts())
    return answer


@pytest.fixture
def cleared(images: Images) -> Iterator[list[str]]:
    """Names of objects to delete afterwards."""
    names: list[str] = []
    yield names
    for name in names:
        images.delete_object(pb.DeleteObjectRequest(name=name))


class TestObjects:
    FILE = hostile.encoded(".png", noise(60, 50))

    def test_upload_apply_download(self, images: Images, cleared: list[str]) -> None:
        digest = hashlib.sha256(self.FILE).digest()
        stored = upload(images, "in", self.FILE, finish=True, sha256=digest)
        cleared.append("in")
        assert (stored.complete, stored.committed_size) == (True, len(self.FILE))
        assert stored.sha256 == digest
        steps = list(
            images.apply(pb.ApplyRequest(name="in", operations=[TURN], target="out", progress=True))
        )
        cleared.append("out")
        assert [step.WhichOneof("part") for step in steps] == ["progress", "progress", "object"]
        made = steps[-1].object
        assert (made.result.width, made.result.height, made.size) == (50, 60, 9000)
        parts = list(images.download(pb.DownloadRequest(name="out", offset=100, limit=5000)))
        assert parts[0].offset == 100
        tail = b"".join(part.data for part in parts)
        expected = np.ascontiguousarray(np.rot90(noise(60, 50)[:, :, ::-1])).tobytes()
        assert tail == expected[100:5100]
        whole = images.download(pb.DownloadRequest(name="out"))
        assert b"".join(part.data for part in whole) == expected

    def test_upload_goes_on_where_it_broke_on_another_connection(
        self, service: Running, images: Images, cleared: list[str]
    ) -> None:
        upload(images, "part", self.FILE, end=4000)
        cleared.append("part")
        with service.channel() as other:
            later = Images(other)
            found = later.get_object(pb.GetObjectRequest(name="part"))
            assert (found.committed_size, found.complete) == (4000, False)
            refusal = refused(
                grpc.StatusCode.INVALID_ARGUMENT,
                later.apply,
                pb.ApplyRequest(name="part", target="x"),
            )
            assert "not complete" in refusal
            done = upload(later, "part", self.FILE, begin=4000, finish=True)
            assert done.complete
            assert done.sha256 == hashlib.sha256(self.FILE).digest()
            again = upload(later, "part", self.FILE, begin=len(self.FILE), finish=True)
            assert again == done, "a repeated finish gives the same answer"

    def test_wrong_offset_tells_the_right_one(self, images: Images, cleared: list[str]) -> None:
        upload(images, "part", self.FILE, end=2000)
        cleared.append("part")
        with pytest.raises(grpc.RpcError) as caught:
            upload(images, "part", self.FILE, begin=3000)
        assert caught.value.code() is grpc.StatusCode.OUT_OF_RANGE
        assert trailer(caught.value, "podstream-committed-size") == "2000"

    def test_names_and_sizes_are_checked(self, images: Images, cleared: list[str]) -> None:
        for name in ("", "a/b", "x" * 101):
            refused(grpc.StatusCode.INVALID_ARGUMENT, upload, images, name, b"x")
        refused(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            images.upload,
            iter([pb.UploadRequest(name="big", size=LIMITS.max_upload_bytes + 1)]),
        )
        upload(images, "one", b"x" * 100, end=10)
        cleared.append("one")
        refused(grpc.StatusCode.ALREADY_EXISTS, upload, images, "one", b"x" * 99)
        for call, request in (
            (images.get_object, pb.GetObjectRequest(name="none")),
            (images.delete_object, pb.DeleteObjectRequest(name="none")),
            (images.download, pb.DownloadRequest(name="none")),
            (images.apply, pb.ApplyRequest(name="none", target="x")),
        ):
            refused(grpc.StatusCode.NOT_FOUND, call, request)

    def test_wrong_checksum_is_refused(self, images: Images, cleared: list[str]) -> None:
        cleared.append("sum")
        refused(
            grpc.StatusCode.INVALID_ARGUMENT,
            upload,
            images,
            "sum",
            self.FILE,
            finish=True,
            sha256=b"y" * 32,
        )
        assert not images.get_object(pb.GetObjectRequest(name="sum")).complete


def test_limits_are_told(images: Images) -> None:
    limits = images.get_limits(pb.GetLimitsRequest())
    assert limits.max_pixels == LIMITS.max_pixels
    assert limits.max_upload_bytes == LIMITS.max_upload_bytes


def test_memory_in_use_makes_others_wait_outside(service: Running, images: Images) -> None:
    """Refused as busy with a hint, and accepted once the memory is free."""
    picture = noise(100, 100)
    taken = service.server.engine.admission.reserve(LIMITS.memory_bytes - 1000)
    with taken:
        with pytest.raises(grpc.RpcError) as caught:
            collect(images.process(requests(picture.tobytes(), input=raw(picture))))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert int(trailer(caught.value, "grpc-retry-pushback-ms")) > 0
    collect(images.process(requests(picture.tobytes(), input=raw(picture))))


def test_reflection_alone_makes_a_client(service: Running) -> None:
    with service.channel() as channel:
        names = reflected.services(channel)
        assert {"NLImageService", "podstream.image.v1.Images", "grpc.health.v1.Health"} <= names
        limits = reflected.unary_methods(channel, "podstream.image.v1.Images")["GetLimits"]
        assert limits.call(limits.request(), timeout=20).max_pixels == LIMITS.max_pixels
        rotate = reflected.unary_methods(channel, "NLImageService")["RotateImage"]
        asked = rotate.request(
            rotation="NINETY_DEG", image={"data": bytes(range(12)), "width": 3, "height": 4}
        )
        assert list(rotate.call(asked, timeout=20).data) == [2, 5, 8, 11, 1, 4, 7, 10, 0, 3, 6, 9]


def test_health_and_reflection(service: Running) -> None:
    with service.channel() as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        for name in ("", "NLImageService", "podstream.image.v1.Images"):
            answer = stub.Check(health_pb2.HealthCheckRequest(service=name))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        reflection: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
        asked = [
            reflection_pb2.ServerReflectionRequest(list_services=""),
            reflection_pb2.ServerReflectionRequest(file_containing_symbol="NLImage"),
        ]
        listed, described = reflection.ServerReflectionInfo(iter(asked))
        names = {item.name for item in listed.list_services_response.service}
        assert {"NLImageService", "ImageService", "podstream.image.v1.Images"} <= names
        file = descriptor_pb2.FileDescriptorProto.FromString(
            described.file_descriptor_response.file_descriptor_proto[0]
        )
        assert file.package == ""
        assert {field.name: field.number for field in file.message_type[0].field} == {
            "color": 1,
            "data": 2,
            "width": 3,
            "height": 4,
        }
