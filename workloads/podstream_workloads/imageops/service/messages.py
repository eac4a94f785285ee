"""Messages of podstream.image.v1 as values of the library, and back."""

from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec

from podstream_workloads.imageops.headers import FileFormat
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
from podstream_workloads.imageops.service.engine import FileForm
from podstream_workloads.imageops.service.errors import invalid
from podstream_workloads.imageops.wire import podstream_image_v1_pb2 as pb
from podstream_workloads.imageops.workers.jobs import Done, RawSource

_SPACES: Final[Mapping[int, Space]] = {
    pb.SPACE_GRAY: Space.GRAY,
    pb.SPACE_RGB: Space.RGB,
    pb.SPACE_BGR: Space.BGR,
    pb.SPACE_HSV: Space.HSV,
    pb.SPACE_LAB: Space.LAB,
    pb.SPACE_YCRCB: Space.YCRCB,
}
_SPACE_NUMBERS: Final = {space: number for number, space in _SPACES.items()}
_BORDERS: Final[Mapping[int, Border]] = {
    pb.BORDER_EXISTING: Border.EXISTING,
    pb.BORDER_REFLECT_101: Border.REFLECT_101,
    pb.BORDER_REFLECT: Border.REFLECT,
    pb.BORDER_REPLICATE: Border.REPLICATE,
    pb.BORDER_CONSTANT: Border.CONSTANT,
}
_INTERPOLATIONS: Final[Mapping[int, Interpolation]] = {
    pb.INTERPOLATION_NEAREST: Interpolation.NEAREST,
    pb.INTERPOLATION_LINEAR: Interpolation.LINEAR,
    pb.INTERPOLATION_CUBIC: Interpolation.CUBIC,
    pb.INTERPOLATION_AREA: Interpolation.AREA,
    pb.INTERPOLATION_LANCZOS: Interpolation.LANCZOS,
}
_FILES: Final[Mapping[int, FileFormat]] = {
    pb.FORMAT_PNG: FileFormat.PNG,
    pb.FORMAT_JPEG: FileFormat.JPEG,
    pb.FORMAT_WEBP: FileFormat.WEBP,
    pb.FORMAT_TIFF: FileFormat.TIFF,
    pb.FORMAT_BMP: FileFormat.BMP,
    pb.FORMAT_GIF: FileFormat.GIF,
}
_OUTPUTS: Final[Mapping[int, OutputFormat]] = {
    pb.FORMAT_RAW: OutputFormat.RAW,
    pb.FORMAT_PNG: OutputFormat.PNG,
    pb.FORMAT_JPEG: OutputFormat.JPEG,
    pb.FORMAT_WEBP: OutputFormat.WEBP,
    pb.FORMAT_TIFF: OutputFormat.TIFF,
}
_OUTPUT_NUMBERS: Final = {kind: number for number, kind in _OUTPUTS.items()}
_BITS: Final = {0: 1, 8: 1, 16: 2}
"""Bits of a value -> its bytes."""

ChoiceT = TypeVar("ChoiceT")
ValueT = TypeVar("ValueT")


def form_of(message: pb.Input) -> RawSource | FileForm:
    """What the bytes of a picture are.

    Raises:
        CallError: an unknown number.
    """
    if message.WhichOneof("form") == "raw":
        raw = message.raw
        if raw.bits not in _BITS:
            raise invalid(f"raw values have 8 or 16 bits, not {raw.bits}")
        return RawSource(
            width=raw.width,
            height=raw.height,
            space=_choose(raw.space, _SPACES, default=Space.RGB, what="space"),
            bytes_per_value=_BITS[raw.bits],
        )
    declared = message.file.format
    if declared == pb.FORMAT_UNSPECIFIED:
        return FileForm(None, message.file.keep_depth)
    if declared not in _FILES:
        raise invalid(f"file format {declared} is not accepted")
    return FileForm(_FILES[declared], message.file.keep_depth)


def output_of(message: pb.Output) -> Output:
    """In what form the result is wanted.

    Raises:
        CallError: unknown numbers, quality out of bounds.
    """
    kind = _choose(message.format, _OUTPUTS, default=OutputFormat.RAW, what="output format")
    fields = {"format": kind, "quality": message.quality, "lossless": message.lossless}
    return _value(Output, fields, what="output")


def operations_of(messages: Any) -> tuple[Operation, ...]:
    """A chain.

    Raises:
        CallError: an operation that is not known, or a value out of bounds.
    """
    return tuple(_operation(message, index + 1) for index, message in enumerate(messages))


def result_of(done: Done, output: Output) -> pb.Result:
    """What a result is."""
    return pb.Result(
        width=done.width,
        height=done.height,
        space=_SPACE_NUMBERS[done.space],  # type: ignore[arg-type]
        bits=8 * done.bytes_per_value,
        format=_OUTPUT_NUMBERS[output.format],  # type: ignore[arg-type]
        size=done.size,
    )


def _operation(message: pb.Operation, place: int) -> Operation:
    what = f"operation {place}"
    match message.WhichOneof("kind"):
        case "turn":
            return QuarterTurn(turn=list(Turn)[message.turn.quarters % 4])
        case "rotate":
            rotate = message.rotate
            method = _choose(
                rotate.interpolation, _INTERPOLATIONS, default=Interpolation.LINEAR, what=what
            )
            fields: dict[str, Any] = {"degrees": rotate.degrees, "fill": rotate.fill}
            return _value(RotateDegrees, {**fields, "interpolation": method}, what=what)
        case "mean":
            mean = message.mean
            border = _choose(mean.border, _BORDERS, default=Border.EXISTING, what=what)
            fields = {"width": mean.width or 3, "height": mean.height or 3, "border": border}
            return _value(Mean, fields, what=what)
        case "gaussian":
            gaussian = message.gaussian
            border = _choose(gaussian.border, _BORDERS, default=Border.REFLECT_101, what=what)
            return _value(Gaussian, {"sigma": gaussian.sigma, "border": border}, what=what)
        case "resize":
            resize = message.resize
            method = _choose(
                resize.interpolation, _INTERPOLATIONS, default=Interpolation.AREA, what=what
            )
            fields = {"width": resize.width, "height": resize.height, "interpolation": method}
            return _value(Resize, fields, what=what)
        case "crop":
            crop = message.crop
            fields = {"x": crop.x, "y": crop.y, "width": crop.width, "height": crop.height}
            return _value(Crop, fields, what=what)
        case "flip":
            return Flip(horizontal=message.flip.horizontal, vertical=message.flip.vertical)
        case "gray":
            return Gray()
        case "convert":
            space = message.convert.space
            if space not in _SPACES:
                raise invalid(f"{what}: space {space} is not known")
            return Convert(space=_SPACES[space])
        case _:
            raise invalid(f"{what} is none that this server knows")


def _choose(number: int, choices: Mapping[int, ChoiceT], *, default: ChoiceT, what: str) -> ChoiceT:
    """The meaning of an enumeration's number; 0 is the default."""
    if number == 0:
        return default
    if number not in choices:
        raise invalid(f"{what}: number {number} is not known")
    return choices[number]


def _value(kind: type[ValueT], fields: dict[str, Any], *, what: str) -> ValueT:
    """A value whose bounds are checked.

    Raises:
        CallError: one is out of bounds; the message names it.
    """
    try:
        return msgspec.convert(fields, type=kind)
    except msgspec.ValidationError as error:
        raise invalid(f"{what}: {error}") from error
