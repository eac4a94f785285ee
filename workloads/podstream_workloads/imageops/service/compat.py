"""The compatible service: `NLImageService`, and the same handlers as `ImageService`.

Handlers take the message's bytes as they are and keep the picture a slice of them; everything is
checked before anything is allocated (proto/image.proto).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import grpc

from podstream_workloads.imageops.headers.inspection import format_of
from podstream_workloads.imageops.operations.plan import Shape
from podstream_workloads.imageops.operations.values import (
    Mean,
    Operation,
    QuarterTurn,
    Space,
    Turn,
    name_of,
)
from podstream_workloads.imageops.output import Output
from podstream_workloads.imageops.service.calls import Call, handled
from podstream_workloads.imageops.service.engine import Engine, Request
from podstream_workloads.imageops.service.errors import CallError, invalid
from podstream_workloads.imageops.statistics import Rejection
from podstream_workloads.imageops.wire.fields import (
    bytes_key,
    fields,
    int32,
    integer,
    number_field,
    payload,
)
from podstream_workloads.imageops.workers.jobs import RawSource

SERVICES: Final = ("NLImageService", "ImageService")
_TURNS: Final = tuple(Turn)
_COLOR, _DATA, _WIDTH, _HEIGHT = 1, 2, 3, 4
_ROTATION, _IMAGE = 1, 2
_CUSTOM_IMAGE: Final = 1
_MAGIC_BYTES: Final = 16
_EMPTY: Final = memoryview(b"")


@dataclass(frozen=True, slots=True)
class WireImage:
    """An `NLImage`."""

    color: bool = False
    data: memoryview = _EMPTY
    width: int = 0
    height: int = 0

    @property
    def source(self) -> RawSource:
        """The picture's form."""
        space = Space.RGB if self.color else Space.GRAY
        return RawSource(width=self.width, height=self.height, space=space)


def parse_image(message: memoryview, *, into: WireImage | None = None) -> WireImage:
    """Read an `NLImage`; a later occurrence of a member replaces an earlier one.

    Raises:
        WireError: the bytes are no message.
    """
    image = WireImage() if into is None else into
    for number, value in fields(message):
        if number == _COLOR:
            image = replace(image, color=integer(value) != 0)
        elif number == _DATA:
            image = replace(image, data=payload(value))
        elif number == _WIDTH:
            image = replace(image, width=int32(value))
        elif number == _HEIGHT:
            image = replace(image, height=int32(value))
    return image


def parse_rotate_request(message: memoryview) -> tuple[int, WireImage | None]:
    """Read an `NLImageRotateRequest`: the number of the rotation, and the image if there is one.

    Raises:
        WireError: the bytes are no message.
    """
    rotation, image = 0, None
    for number, value in fields(message):
        if number == _ROTATION:
            rotation = int32(value)
        elif number == _IMAGE:
            image = parse_image(payload(value), into=image)
    return rotation, image


def encode_image(shape: Shape, data: bytes | memoryview) -> bytes:
    """An `NLImage` on the wire; the only copy of the data that is made for it."""
    return b"".join(
        (
            number_field(_COLOR, int(shape.space is not Space.GRAY)),
            bytes_key(_DATA, len(data)),
            data,
            number_field(_WIDTH, shape.width),
            number_field(_HEIGHT, shape.height),
        )
    )


class CompatService:
    """Handlers of the compatible service."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def rotate(self, message: bytes, context: grpc.ServicerContext) -> bytes:
        """`RotateImage`."""
        with handled(context, self._engine.statistics) as call:
            rotation, image = parse_rotate_request(memoryview(message))
            if image is None:
                raise invalid("the request has no image")
            if rotation not in range(len(_TURNS)):
                raise invalid(f"rotation {rotation} is not known: 0 to {len(_TURNS) - 1} are")
            return self._apply(image, QuarterTurn(turn=_TURNS[rotation]), call)

    def mean(self, message: bytes, context: grpc.ServicerContext) -> bytes:
        """`MeanFilter`."""
        with handled(context, self._engine.statistics) as call:
            return self._apply(parse_image(memoryview(message)), Mean(), call)

    def custom(self, message: bytes, context: grpc.ServicerContext) -> bytes:
        """`CustomImageEndpoint`: checks the image, answers an empty message."""
        with handled(context, self._engine.statistics):
            image: WireImage | None = None
            for number, value in fields(memoryview(message)):
                if number == _CUSTOM_IMAGE:
                    image = parse_image(payload(value), into=image)
            if image is None:
                raise invalid("the request has no image")
            self._check(image)
            return b""

    def handlers(self) -> "Mapping[str, Mapping[str, grpc.RpcMethodHandler[bytes, bytes]]]":
        """Handlers by service and method, for raw bytes."""
        common: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
            "RotateImage": grpc.unary_unary_rpc_method_handler(self.rotate),
            "MeanFilter": grpc.unary_unary_rpc_method_handler(self.mean),
        }
        custom: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(
            self.custom
        )
        return {SERVICES[0]: {**common, "CustomImageEndpoint": custom}, SERVICES[1]: common}

    def _check(self, image: WireImage) -> None:
        kind = format_of(bytes(image.data[:_MAGIC_BYTES]))
        if kind is not None and (image.width, image.height) == (0, 0):
            raise invalid(
                f"data holds an encoded {kind.value} file and width and height are 0: send the "
                "picture's values, or the file to podstream.image.v1.Images/Process"
            )
        self._engine.check_raw(image.source, size=len(image.data))

    def _apply(self, image: WireImage, operation: Operation, call: Call) -> bytes:
        self._check(image)
        engine, size, source = self._engine, len(image.data), image.source
        if size > engine.limits.max_message_bytes:
            raise CallError(
                Rejection.TOO_LARGE,
                f"{size} bytes of data: a unary call takes at most "
                f"{engine.limits.max_message_bytes} (spec.imageOps.maxMessageMiB); larger pictures "
                "go to podstream.image.v1.Images/Process",
            )
        if operation == QuarterTurn(turn=Turn.NONE):
            engine.statistics.answered(
                operations=(name_of(operation),),
                bytes_in=size,
                bytes_out=size,
                pixels=source.shape.pixels,
                seconds=0,
            )
            return encode_image(source.shape, image.data)
        with engine.precedence.call(size), engine.admission.reserve(size) as reservation:
            segment = engine.segments.take(size)
            try:
                segment.write(0, image.data)
                request = Request(form=source, operations=(operation,), output=Output())
                answer = engine.perform(
                    request, source=segment, size=size, reservation=reservation, call=call
                )
            finally:
                engine.segments.give(segment)
            try:
                done = answer.done
                shape = Shape(done.width, done.height, done.space)
                return encode_image(shape, answer.segment.read(0, done.size))
            finally:
                engine.segments.give(answer.segment)
