"""The messages on the wire: Tracktech's, and the few that podstream adds.

Numbers keep their form: members that are passed on stay the bytes that were sent (`msgspec.Raw`),
so 5.0 arrives as 5.0 and 7 as 7, and nothing is encoded twice.
"""

from typing import Any, Final

import msgspec
from msgspec import Raw

from podstream_workloads.tracking.orchestrator.errors import Refused

PROTOCOL: Final = 1
"""Version of the messages that podstream adds, said in `hello`."""

_ABSENT: Final = Raw()
_MAX_LOGGED: Final = 200
_MAX_NAME_BYTES: Final = 1000
_MAX_CAMERAS: Final = 1000  # of one subscription


class Incoming(msgspec.Struct, rename="camel", frozen=True):
    """Any message of a peer: the members that some message uses, as raw JSON; absent is empty."""

    type: Raw = _ABSENT
    jwt: Raw = _ABSENT
    camera_id: Raw = _ABSENT
    frame_id: Raw = _ABSENT
    box_id: Raw = _ABSENT
    image: Raw = _ABSENT
    object_id: Raw = _ABSENT
    uses_images: Raw = _ABSENT
    id: Raw = _ABSENT
    boxes: Raw = _ABSENT
    feature_map: Raw = _ABSENT
    cameras: Raw = _ABSENT


class _Box(msgspec.Struct, rename="camel", frozen=True):
    object_id: Raw = _ABSENT


_INCOMING: Final = msgspec.json.Decoder(Incoming)
_BOXES: Final = msgspec.json.Decoder(list[_Box])
_ANY: Final = msgspec.json.Decoder()

Scalar = str | int | float | bool | None


def parse(text: str | bytes) -> Incoming:
    """A peer's message.

    Raises:
        Refused: it is not a JSON object.
    """
    try:
        return _INCOMING.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Refused("NotJson", f"not a JSON object: {error}") from error


def word(raw: Raw) -> str | None:
    """A string member's text; None where it is absent or something else."""
    value = value_of(raw) if raw else None
    return value if isinstance(value, str) else None


def value_of(raw: Raw | bytes) -> Any:
    """What a member says.

    Raises:
        Refused: it is nested too deeply, or a number out of range.
    """
    try:
        return _ANY.decode(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Refused("NotJson", f"not usable: {error}") from error


def given(raw: Raw, name: str) -> Raw:
    """A required member.

    Raises:
        Refused: it is absent.
    """
    if not raw:
        raise Refused("MissingProperty", f"missed a property: {name}")
    return raw


def optional(raw: Raw) -> bytes | None:
    """A member's JSON, None where it is absent or null."""
    text = bytes(raw)
    return text if text and text != b"null" else None


def scalar(raw: Raw, name: str) -> Scalar:
    """A required member that is no list and no object: what it equals another by.

    Raises:
        Refused: it is absent, a list, an object, or too long to be sent along with every frame.
    """
    if len(bytes(given(raw, name))) > _MAX_NAME_BYTES:
        raise Refused("BadProperty", f"{name} is longer than {_MAX_NAME_BYTES} bytes")
    value = value_of(raw)
    if isinstance(value, list | dict):
        raise Refused("BadProperty", f"{name} is neither a string nor a number")
    return value  # type: ignore[no-any-return]


def object_id(raw: Raw) -> int | None:
    """The object that a number names; None for everything that is no whole number."""
    value = value_of(raw) if raw else None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def sighted(boxes: Raw) -> list[int]:
    """Objects that boxes name, in their order.

    Raises:
        Refused: boxes are not a list of objects.
    """
    try:
        named = [object_id(box.object_id) for box in _BOXES.decode(boxes) if box.object_id]
    except (msgspec.DecodeError, RecursionError) as error:
        raise Refused("BadBoxes", "Boxes array was not of the correct format") from error
    return [number for number in named if number is not None]


def camera_list(raw: Raw) -> frozenset[Scalar] | None:
    """Cameras of a `subscribe`; None (null or absent) is every camera.

    Raises:
        Refused: it is no list of strings and numbers.
    """
    value = value_of(raw) if raw else None
    if value is None:
        return None
    if not isinstance(value, list) or any(isinstance(item, list | dict) for item in value):
        raise Refused("BadProperty", "cameras is no list of camera ids")
    if len(value) > _MAX_CAMERAS:
        raise Refused("BadProperty", f"more than {_MAX_CAMERAS} cameras")
    return frozenset(value)


def bounding_boxes(camera: bytes, *, frame_id: Raw, boxes: Raw) -> bytes:
    """`boundingBoxes` for clients; `camera` is JSON, null before the processor has named itself."""
    return b'{"type":"boundingBoxes","cameraId":%b,"frameId":%b,"boxes":%b}' % (
        camera,
        frame_id,
        boxes,
    )


def new_object(number: int, *, image: bytes | None) -> bytes:
    """`newObject` for clients that use images."""
    if image is None:
        return b'{"type":"newObject","objectId":%d}' % number
    return b'{"type":"newObject","objectId":%d,"image":%b}' % (number, image)


def start(
    number: int, *, frame_id: bytes | None, box_id: bytes | None, image: bytes | None
) -> bytes:
    """`start` for the processor of the object's camera, with the members that the client sent."""
    members = [(b"frameId", frame_id), (b"boxId", box_id), (b"image", image)]
    told = b"".join(b',"%b":%b' % (name, raw) for name, raw in members if raw is not None)
    return b'{"type":"start","objectId":%d%b}' % (number, told)


def stop(number: int) -> bytes:
    """`stop` for processors and for clients that use images."""
    return b'{"type":"stop","objectId":%d}' % number


def feature_map(number: int, *, known: bytes | None) -> bytes:
    """`featureMap` for processors; `{}` where none is known yet."""
    return b'{"type":"featureMap","objectId":%d,"featureMap":%b}' % (number, known or b"{}")


def hello() -> bytes:
    """Answer to a peer's `hello`."""
    return b'{"type":"hello","protocol":%d}' % PROTOCOL


def error(code: str, text: str) -> bytes:
    """`error` for a peer that said `hello`."""
    return msgspec.json.encode({"type": "error", "code": code, "message": text})


def track_ended(number: int, *, reason: str) -> bytes:
    """`trackEnded` for peers that said `hello`."""
    return msgspec.json.encode({"type": "trackEnded", "objectId": number, "reason": reason})


def shorten(text: str | bytes) -> str:
    """A message as a log line shows it: pictures and long lists cut, its size said."""
    head = text[:_MAX_LOGGED]
    shown = head.decode(errors="replace") if isinstance(head, bytes) else head
    shown = shown.replace("\r", " ").replace("\n", " ")
    return shown if len(text) <= _MAX_LOGGED else f"{shown}... ({len(text)} in all)"
