"""The compatible service, called by a client whose messages are generated from the public proto."""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given
from hypothesis import strategies as st

from imageops import slow
from imageops.hostile import encoded
from imageops.server import LIMITS, Running, noise
from podstream_workloads.imageops.operations.plan import Shape
from podstream_workloads.imageops.operations.values import Space
from podstream_workloads.imageops.service.compat import (
    encode_image,
    parse_image,
    parse_rotate_request,
)
from podstream_workloads.imageops.wire.fields import WireError


def messages() -> tuple[Any, Any]:
    """The exercise's messages, in a descriptor pool of the client's own."""
    file = descriptor_pb2.FileDescriptorProto(name="image.proto", syntax="proto3")
    image = file.message_type.add(name="NLImage")
    for number, (name, kind) in enumerate(
        [("color", 8), ("data", 12), ("width", 5), ("height", 5)], start=1
    ):
        image.field.add(name=name, number=number, type=kind, label=1)
    request = file.message_type.add(name="NLImageRotateRequest")
    rotation = request.enum_type.add(name="Rotation")
    for number, name in enumerate(["NONE", "NINETY_DEG", "ONE_EIGHTY_DEG", "TWO_SEVENTY_DEG"]):
        rotation.value.add(name=name, number=number)
    request.field.add(
        name="rotation", number=1, type=14, label=1, type_name=".NLImageRotateRequest.Rotation"
    )
    request.field.add(name="image", number=2, type=11, label=1, type_name=".NLImage")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found = message_factory.GetMessageClassesForFiles(["image.proto"], pool)
    return found["NLImage"], found["NLImageRotateRequest"]


Image, RotateRequest = messages()


class Client:
    def __init__(self, channel: grpc.Channel, service: str = "NLImageService") -> None:
        self.rotate = channel.unary_unary(
            f"/{service}/RotateImage",
            request_serializer=RotateRequest.SerializeToString,
            response_deserializer=Image.FromString,
        )
        self.mean = channel.unary_unary(
            f"/{service}/MeanFilter",
            request_serializer=Image.SerializeToString,
            response_deserializer=Image.FromString,
        )


@pytest.fixture(scope="module")
def client(service: Running) -> Iterator[Client]:
    with service.channel() as channel:
        yield Client(channel)


def image_of(picture: Any) -> Any:
    height, width = picture.shape[:2]
    return Image(color=picture.ndim == 3, data=picture.tobytes(), width=width, height=height)


def picture_of(image: Any) -> Any:
    shape = (image.height, image.width, 3) if image.color else (image.height, image.width)
    return np.frombuffer(image.data, np.uint8).reshape(shape)


@pytest.mark.parametrize("colour", [True, False])
@pytest.mark.parametrize("rotation", range(4))
def test_rotates_counter_clockwise(client: Client, rotation: int, colour: bool) -> None:
    picture = noise(7, 5, colour=colour)
    answer = client.rotate(RotateRequest(rotation=rotation, image=image_of(picture)))
    assert (picture_of(answer) == np.rot90(picture, k=rotation)).all()


@pytest.mark.parametrize("colour", [True, False])
@pytest.mark.parametrize("size", [(1, 1), (1, 6), (6, 1), (2, 2), (9, 7)])
def test_mean_filter(client: Client, size: tuple[int, int], colour: bool) -> None:
    picture = noise(*size, colour=colour)
    answer = client.mean(image_of(picture))
    assert slow.rows_of(picture_of(answer)) == slow.mean_existing(slow.rows_of(picture))
    assert answer.color == colour


def test_vectors_of_the_exercise(client: Client) -> None:
    gray = Image(data=bytes(range(12)), width=3, height=4)
    assert list(client.mean(gray).data) == [2, 2, 3, 3, 4, 4, 6, 7, 7, 8, 8, 9]
    turned = client.rotate(RotateRequest(rotation=1, image=gray))
    assert list(turned.data) == [2, 5, 8, 11, 1, 4, 7, 10, 0, 3, 6, 9]
    assert (turned.width, turned.height) == (4, 3)


def test_later_generation_has_the_same_handlers(service: Running) -> None:
    with service.channel() as channel:
        answer = Client(channel, "ImageService").mean(image_of(noise(3, 3)))
        assert answer.width == 3


def test_earlier_generation_checks_the_image(service: Running) -> None:
    with service.channel() as channel:
        custom: Any = channel.unary_unary("/NLImageService/CustomImageEndpoint")
        wrapped = RotateRequest(image=image_of(noise(2, 2)))
        # The member has number 1 there.
        message = b"\x0a" + wrapped.SerializeToString()[1:]
        assert custom(message) == b""
        with pytest.raises(grpc.RpcError) as caught:
            custom(b"")
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


GOOD = Image(data=bytes(12), width=3, height=4)
WRONG = {
    "too-short": Image(data=bytes(11), width=3, height=4),
    "too-long": Image(data=bytes(13), width=3, height=4),
    "negative": Image(data=bytes(12), width=-3, height=-4),
    "zero-width": Image(data=b"", width=0, height=4),
    "zero-height": Image(data=b"", width=4, height=0),
    "overflow": Image(data=bytes(12), width=2**31 - 1, height=2**31 - 1),
    "product-is-zero-in-32-bits": Image(data=b"", width=2**16, height=2**16),
    "huge-with-little-data": Image(data=bytes(12), width=100_000, height=100_000, color=True),
    "empty": Image(),
    "wrong-color-flag": Image(data=bytes(12), width=3, height=4, color=True),
    "color-data-said-gray": Image(data=bytes(36), width=3, height=4),
    "encoded-png": Image(data=encoded(".png")),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("method", ["mean", "rotate"])
def test_bad_contents_are_invalid_argument(client: Client, name: str, method: str) -> None:
    wrong = WRONG[name]
    call, request = {
        "mean": (client.mean, wrong),
        "rotate": (client.rotate, RotateRequest(image=wrong)),
    }[method]
    with pytest.raises(grpc.RpcError) as caught:
        call(request)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.details()
    assert len(client.mean(GOOD).data) == 12, "the server goes on"


def test_encoded_file_is_called_by_its_name(client: Client) -> None:
    with pytest.raises(grpc.RpcError, match="encoded png file"):
        client.mean(WRONG["encoded-png"])


@pytest.mark.parametrize("rotation", [4, 7, -1])
def test_unknown_rotation_is_invalid_argument(client: Client, rotation: int) -> None:
    with pytest.raises(grpc.RpcError, match="is not known") as caught:
        client.rotate(RotateRequest(rotation=rotation, image=GOOD))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_missing_image_is_invalid_argument(client: Client) -> None:
    with pytest.raises(grpc.RpcError, match="no image"):
        client.rotate(RotateRequest(rotation=1))


def test_bytes_that_are_no_message_are_invalid_argument(service: Running) -> None:
    with service.channel() as channel:
        mean: Any = channel.unary_unary("/NLImageService/MeanFilter")
        with pytest.raises(grpc.RpcError) as caught:
            mean(b"\x0a\xff\xff")
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_4k_passes_and_above_the_limit_is_clear(client: Client) -> None:
    picture = noise(3840, 2160)
    answer = client.mean(image_of(picture))
    assert picture_of(answer)[1, 1, 0] == int(picture[:3, :3, 0].astype(int).mean())
    too_long = bytes(LIMITS.max_message_bytes + 100_000)
    with pytest.raises(grpc.RpcError) as caught:
        client.mean(Image(data=too_long, width=len(too_long), height=1))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "larger than max" in str(caught.value.details())


def test_a_large_mean_does_not_hold_up_small_turns(client: Client) -> None:
    """The small lane stays free: while large means run one after another, small ones pass."""
    big, small = image_of(noise(3000, 2000)), image_of(noise(10, 10))
    stop = threading.Event()
    done = []

    def load() -> None:
        while not stop.is_set():
            client.mean(big)
            done.append(1)

    thread = threading.Thread(target=load)
    thread.start()
    try:
        times: list[float] = []
        while len(done) < 3 or len(times) < 50:
            begun = time.monotonic()
            client.rotate(RotateRequest(rotation=1, image=small))
            times.append(time.monotonic() - begun)
    finally:
        stop.set()
        thread.join()
    assert sorted(times)[len(times) // 2] < 0.1


numbers = st.integers(-(2**31), 2**31 - 1)
images = st.builds(
    Image, color=st.booleans(), data=st.binary(max_size=300), width=numbers, height=numbers
)


class TestWire:
    """Parsing by hand agrees with the generated class."""

    @given(images)
    def test_image(self, message: Any) -> None:
        parsed = parse_image(memoryview(message.SerializeToString()))
        assert bytes(parsed.data) == message.data
        assert (parsed.color, parsed.width, parsed.height) == (
            message.color,
            message.width,
            message.height,
        )

    @given(st.integers(0, 9), images, images)
    def test_later_members_replace_and_messages_merge(
        self, rotation: int, one: Any, other: Any
    ) -> None:
        joined = (
            RotateRequest(rotation=rotation, image=one).SerializeToString()
            + RotateRequest(image=other).SerializeToString()
        )
        expected = RotateRequest.FromString(joined)
        number, image = parse_rotate_request(memoryview(joined))
        assert number == expected.rotation
        assert image is not None
        assert bytes(image.data) == expected.image.data
        assert (image.color, image.width) == (expected.image.color, expected.image.width)

    @given(st.binary(max_size=60))
    def test_any_bytes_are_read_or_refused(self, data: bytes) -> None:
        with contextlib.suppress(WireError):
            parse_image(memoryview(data))
            parse_rotate_request(memoryview(data))

    @given(images)
    def test_encoding(self, message: Any) -> None:
        width, height = abs(message.width), abs(message.height)
        width, height = min(width, 2**31 - 1), min(height, 2**31 - 1)
        space = Space.RGB if message.color else Space.GRAY
        data = encode_image(Shape(width, height, space), message.data)
        expected = Image(color=message.color, data=message.data, width=width, height=height)
        assert Image.FromString(data) == expected
