"""Chains of operations as text: `turn=1,mean=5:replicate,resize=800x0`."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from podstream_workloads.imageops.wire import podstream_image_v1_pb2 as pb

SYNTAX: Final = """operations:
  turn=N                counter-clockwise quarter turns, without loss
  rotate=DEGREES        any angle, counter-clockwise; rotate=10:cubic
  mean[=N|WxH]          odd window, 3x3 unless given, over existing neighbours;
                        mean=5:reflect101|reflect|replicate|constant for another border
  gaussian=SIGMA        gaussian=2:replicate
  resize=WxH            0 keeps the proportions; resize=800x0:lanczos
                        (nearest, linear, cubic, area, lanczos)
  crop=WxH+X+Y
  flip=h|v|hv
  gray
  convert=SPACE         gray, rgb, bgr, hsv, lab, ycrcb"""

_SIDES: Final = re.compile(r"(\d+)x(\d+)\Z")
_CROP: Final = re.compile(r"(\d+)x(\d+)\+(\d+)\+(\d+)\Z")


class ChainTextError(ValueError):
    """The text is no operation; the message says what one looks like."""


def parse_chain(text: str) -> list[pb.Operation]:
    """Operations separated by commas.

    Raises:
        ChainTextError: one of them is none.
    """
    return [_parse(part.strip()) for part in text.split(",")]


def _parse(text: str) -> pb.Operation:
    name, _, rest = text.partition("=")
    value, _, method = rest.partition(":")
    make = _MAKERS.get(name)
    if make is None:
        raise ChainTextError(f"{name!r} is no operation; there are {', '.join(sorted(_MAKERS))}")
    try:
        return make(value, method)
    except (ValueError, TypeError) as error:
        raise ChainTextError(f"{text!r} cannot be read: {error}") from error


def _turn(value: str, method: str) -> pb.Operation:
    _no_method(method)
    return pb.Operation(turn=pb.Turn(quarters=int(value)))


def _rotate(value: str, method: str) -> pb.Operation:
    rotate = pb.Rotate(degrees=float(value))
    _set(rotate, "interpolation", method, enum=pb.Interpolation, prefix="INTERPOLATION_")
    return pb.Operation(rotate=rotate)


def _mean(value: str, method: str) -> pb.Operation:
    width, height = _window(value or "3")
    mean = pb.Mean(width=width, height=height)
    _set(mean, "border", method, enum=pb.Border, prefix="BORDER_")
    return pb.Operation(mean=mean)


def _gaussian(value: str, method: str) -> pb.Operation:
    gaussian = pb.Gaussian(sigma=float(value))
    _set(gaussian, "border", method, enum=pb.Border, prefix="BORDER_")
    return pb.Operation(gaussian=gaussian)


def _resize(value: str, method: str) -> pb.Operation:
    width, height = _groups(_SIDES, value, "WxH, as in 800x600")
    resize = pb.Resize(width=width, height=height)
    _set(resize, "interpolation", method, enum=pb.Interpolation, prefix="INTERPOLATION_")
    return pb.Operation(resize=resize)


def _crop(value: str, method: str) -> pb.Operation:
    _no_method(method)
    width, height, x, y = _groups(_CROP, value, "WxH+X+Y, as in 200x100+0+50")
    return pb.Operation(crop=pb.Crop(x=x, y=y, width=width, height=height))


def _flip(value: str, method: str) -> pb.Operation:
    _no_method(method)
    if value not in ("h", "v", "hv", "vh"):
        raise ValueError("h mirrors left and right, v top and bottom, hv both")
    return pb.Operation(flip=pb.Flip(horizontal="h" in value, vertical="v" in value))


def _gray(value: str, method: str) -> pb.Operation:
    _no_method(value or method)
    return pb.Operation(gray=pb.Gray())


def _convert(value: str, method: str) -> pb.Operation:
    _no_method(method)
    convert = pb.Convert()
    _set(convert, "space", value, enum=pb.Space, prefix="SPACE_")
    return pb.Operation(convert=convert)


_MAKERS: Final[Mapping[str, Callable[[str, str], pb.Operation]]] = {
    "turn": _turn,
    "rotate": _rotate,
    "mean": _mean,
    "gaussian": _gaussian,
    "resize": _resize,
    "crop": _crop,
    "flip": _flip,
    "gray": _gray,
    "convert": _convert,
}


def _window(value: str) -> tuple[int, int]:
    if value.isdigit():
        return int(value), int(value)
    width, height = _groups(_SIDES, value, "N or WxH, as in 5x3")
    return width, height


def _groups(pattern: re.Pattern[str], value: str, form: str) -> list[int]:
    found = pattern.match(value)
    if found is None:
        raise ValueError(f"expected {form}")
    return [int(group) for group in found.groups()]


def _set(message: Any, member: str, word: str, *, enum: Any, prefix: str) -> None:
    """Set an enumeration by its name in lower case; nothing for no word."""
    if not word:
        return
    names = {_plain(name.removeprefix(prefix)): name for name in enum.keys()[1:]}
    if _plain(word) not in names:
        raise ValueError(f"{word!r} is none of {', '.join(names)}")
    setattr(message, member, enum.Value(names[_plain(word)]))


def _plain(name: str) -> str:
    return name.lower().replace("_", "")


def _no_method(rest: str) -> None:
    if rest:
        raise ValueError(f"it takes no {rest!r}")
