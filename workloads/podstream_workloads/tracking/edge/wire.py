"""A camera processor's messages, as Tracktech's processors have them, and `hello` of podstream.

`frameId` is always a float: stock software refuses a 1 where it wants 1.0.
"""

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import cv2
import numpy as np

from podstream_workloads.tracking.edge.analysis import TrackedFrame
from podstream_workloads.tracking.edge.descriptor import Descriptor, from_wire, to_wire
from podstream_workloads.tracking.edge.detectors.base import Picture
from podstream_workloads.tracking.edge.errors import DescriptorRejected

PROTOCOL: Final = 1
MOST_BYTES: Final = 16 << 20  # of one message; the orchestrator takes 10 MiB from a client
_LAST_SECOND: Final = 1e15
_MOST_PIXELS: Final = 4096 * 4096


class MessageIgnored(Exception):
    """A message without effect; says why, for the log."""


@dataclass(frozen=True, slots=True)
class Start:
    """Look for an object."""

    object_id: int
    box_id: int | None
    frame_id: float | None
    image: str | None


@dataclass(frozen=True, slots=True)
class Stop:
    """Look for it no longer; `trackEnded` says the same."""

    object_id: int


@dataclass(frozen=True, slots=True, eq=False)
class FeatureMap:
    """What an object looks like; `None` where nobody knows yet."""

    object_id: int
    descriptor: Descriptor | None


@dataclass(frozen=True, slots=True)
class Told:
    """`hello` or `error` of a podstream orchestrator."""

    type: str
    text: str


Command: TypeAlias = Start | Stop | FeatureMap | Told


def read(text: str) -> Command:
    """A message of the orchestrator.

    Raises:
        MessageIgnored: it is none that a processor knows.
    """
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MessageIgnored("no JSON") from error
    if not isinstance(message, dict):
        raise MessageIgnored("no JSON object")
    match message.get("type"):
        case "start":
            box, image = message.get("boxId"), message.get("image")
            return Start(
                _object_id(message),
                _whole(box) if "boxId" in message else None,
                _number(message.get("frameId")),
                image if isinstance(image, str) else None,
            )
        case "stop" | "trackEnded":
            return Stop(_object_id(message))
        case "featureMap":
            try:
                descriptor = from_wire(message.get("featureMap"))
            except DescriptorRejected as error:
                raise MessageIgnored(str(error)) from error
            return FeatureMap(_object_id(message), descriptor)
        case "hello" | "error" as known:
            return Told(known, f"{message.get('code', '')} {message.get('message', '')}".strip())
        case other:
            raise MessageIgnored(f"unknown type {str(other)[:50]!r}")


def _object_id(message: dict[str, Any]) -> int:
    number = _whole(message.get("objectId"))
    if number is None:
        raise MessageIgnored("objectId is no whole number")
    return number


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and abs(value) < _LAST_SECOND else None


def _whole(value: Any) -> int | None:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def authenticate(token: str) -> str:
    """The first message, where the site wants tokens."""
    return _text({"type": "authenticate", "jwt": token})


def identifier(camera_id: str) -> str:
    """Who the processor is."""
    return _text({"type": "identifier", "id": camera_id})


def hello() -> str:
    """Asks for the messages that podstream adds; others log it and go on."""
    return _text({"type": "hello", "protocol": PROTOCOL})


def bounding_boxes(frame: TrackedFrame, *, objects: dict[int, int]) -> str:
    """A frame's boxes; those of objects say so."""
    boxes = []
    for box in frame.boxes:
        told: dict[str, Any] = {
            "boxId": box.track_id,
            "rect": [round(side, 5) for side in box.rect],
            "objectType": box.label,
            "certainty": round(box.certainty, 4),
        }
        if box.track_id in objects:
            told["objectId"] = objects[box.track_id]
        boxes.append(told)
    return _text({"type": "boundingBoxes", "frameId": float(frame.frame_id), "boxes": boxes})


def feature_map(object_id: int, descriptor: Descriptor) -> str:
    """What an object looks like, for the other cameras."""
    told = to_wire(descriptor)
    return _text({"type": "featureMap", "objectId": object_id, "featureMap": told})


def picture(image: str) -> Picture | None:
    """The picture of a `data:` URL or of plain base64; `None` where there is none."""
    data = image.partition(",")[2] if image.startswith("data:") else image
    try:
        raw = np.frombuffer(base64.b64decode(data, validate=True), dtype=np.uint8)
    except (binascii.Error, ValueError):
        return None
    size = _size(raw.tobytes()[:_HEADER])
    if size is None or size[0] * size[1] > _MOST_PIXELS:
        return None
    try:
        decoded = cv2.imdecode(raw, cv2.IMREAD_COLOR)
    except cv2.error:
        return None
    return None if decoded is None else np.asarray(decoded, dtype=np.uint8)


_HEADER: Final = 1 << 16
_PNG: Final = b"\x89PNG\r\n\x1a\n"


def _size(head: bytes) -> tuple[int, int] | None:
    """Width and height that a PNG or JPEG says it has, before anything is unpacked."""
    if head.startswith(_PNG) and head[12:16] == b"IHDR":
        return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")
    if not head.startswith(b"\xff\xd8"):
        return None
    at = 2
    while at + 9 <= len(head) and head[at] == 0xFF:  # noqa: PLR2004
        marker, length = head[at + 1], int.from_bytes(head[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:  # noqa: PLR2004
            high = int.from_bytes(head[at + 5 : at + 7], "big")
            return int.from_bytes(head[at + 7 : at + 9], "big"), high
        at += 2 + length
    return None


def _text(message: dict[str, Any]) -> str:
    return json.dumps(message, separators=(",", ":"))
