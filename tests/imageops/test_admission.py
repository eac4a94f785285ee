"""Memory of a session: each byte counts once, from a declared size to a kept result."""

from dataclasses import replace

import grpc
import pytest

from imageops.server import LIMITS, Images, Running, noise, raw, running
from podstream_workloads.imageops.limits import MIB
from podstream_workloads.imageops.service.admission import Admission
from podstream_workloads.imageops.service.errors import CallError
from podstream_workloads.imageops.statistics import Rejection
from podstream_workloads.imageops.wire import podstream_image_v1_pb2 as pb

TURN = pb.Operation(turn=pb.Turn(quarters=1))


def test_what_another_reservation_holds_counts_once() -> None:
    admission = Admission(100)
    with admission.reserve(40):
        with admission.beside(40) as call:
            call.grow_to(30)
            assert admission.used_bytes == 40
            call.grow_to(100)
            assert admission.used_bytes == 100
            call.shrink_to(70)
            assert admission.used_bytes == 70
            call.shrink_to(10)
            assert admission.used_bytes == 40, "what is held elsewhere is not freed here"
        assert admission.used_bytes == 40
    assert admission.used_bytes == 0


def test_too_large_at_all_and_busy_now_are_told_apart() -> None:
    admission = Admission(100)
    with admission.reserve(40), admission.beside(40) as call:
        with pytest.raises(CallError) as caught:
            call.grow_to(101)
        assert caught.value.reason is Rejection.TOO_LARGE
        with admission.reserve(20), pytest.raises(CallError) as caught:
            call.grow_to(90)
        assert caught.value.reason is Rejection.BUSY
        assert admission.used_bytes == 40


def test_memory_that_is_handed_over_stays_counted() -> None:
    admission = Admission(100)
    with admission.reserve(60) as call:
        kept = call.hand_over(25)
        assert admission.used_bytes == 60
    assert admission.used_bytes == 25
    kept.shrink_to(0)
    assert admission.used_bytes == 0


def upload(images: Images, data: bytes, *, name: str = "scan") -> None:
    parts = [
        pb.UploadRequest(name=name, offset=at, data=data[at : at + MIB], size=len(data))
        for at in range(0, len(data), MIB)
    ]
    images.upload(iter([*parts, pb.UploadRequest(name=name, finish=True)]))


def apply(images: Images, picture: object, *, target: str = "turned") -> pb.Object:
    request = pb.ApplyRequest(
        name="scan", input=raw(picture), operations=[TURN], target=target
    )  # fmt: skip
    (answer,) = images.apply(request)
    return answer.object  # type: ignore[no-any-return]


def used(service: Running) -> int:
    return service.server.engine.admission.used_bytes


def test_an_object_that_is_worked_on_is_not_counted_twice() -> None:
    """The session's memory is what the work needs, and not a byte more."""
    picture = noise(2000, 1500)
    size = picture.nbytes
    needed = 4 * size  # the object, the picture and its turned copy in the worker, the result
    with running(replace(LIMITS, memory_bytes=needed)) as service, service.channel() as channel:
        images = Images(channel)
        upload(images, picture.tobytes())
        assert used(service) == size
        made = apply(images, picture)
        assert (made.size, made.complete) == (size, True)
        assert used(service) == 2 * size, "two objects, and nothing of the call"
        with pytest.raises(grpc.RpcError) as caught:
            apply(images, picture, target="again")
        error: grpc.Call = caught.value  # type: ignore[assignment]
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert used(service) == 2 * size
        images.delete_object(pb.DeleteObjectRequest(name="turned"))
        assert apply(images, picture, target="again").size == size
        for name in ("scan", "again"):
            images.delete_object(pb.DeleteObjectRequest(name=name))
        assert used(service) == 0
    with running(replace(LIMITS, memory_bytes=needed - 1)) as service, service.channel() as channel:
        images = Images(channel)
        upload(images, picture.tobytes())
        with pytest.raises(grpc.RpcError, match="the session has 35 MiB") as caught:
            apply(images, picture)
        assert used(service) == size
