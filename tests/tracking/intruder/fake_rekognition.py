"""Rekognition as boto3 sees it: `POST /`, JSON 1.1, `X-Amz-Target`, collections, and a real look.

A picture is compared by what it shows: the face is whatever is not wall, cut out, scaled to a
small gray square, and correlated with those indexed. Delay, throttling and errors can be switched
on. Wire form: https://docs.aws.amazon.com/rekognition/latest/APIReference/.
"""

import asyncio
import base64
import itertools
import json
import re
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from aiohttp import web

_TARGET = "RekognitionService."
_JSON = "application/x-amz-json-1.1"


class _Fault(Exception):
    def __init__(self, kind: str, message: str = "") -> None:
        super().__init__(message or kind)
        self.kind = kind


@dataclass
class FakeRekognition:
    """One region's service."""

    delay_s: float = 0.0
    throttle: int = 0
    """Searches that are still to be answered by ProvisionedThroughputExceededException."""
    fault: str = ""
    """`__type` with which everything is answered; empty: nothing is."""
    broken: bool = False
    """Answer 500 without a body that makes sense."""
    accepted_key: str = ""
    """Access key that alone is let in, where one is set."""
    accepted_token: str = ""
    """Session token that alone is let in, where one is set."""
    collections: dict[str, list[tuple[str, Any]]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    """Access key of each call."""

    def app(self) -> web.Application:
        app = web.Application(client_max_size=16 * 1024 * 1024)
        app.router.add_post("/", self._serve)
        return app

    def count(self, operation: str) -> int:
        return sum(call == operation for call in self.calls)

    async def _serve(self, request: web.Request) -> web.Response:
        operation = request.headers.get("X-Amz-Target", "").removeprefix(_TARGET)
        self.calls.append(operation)
        key = re.search(r"Credential=([^/]+)/", request.headers.get("Authorization", ""))
        self.keys.append(key.group(1) if key else "")
        asked = json.loads(await request.read())
        await asyncio.sleep(self.delay_s)
        if self.broken:
            return web.Response(status=500, text="<html>oops</html>")
        try:
            self._let_in(request)
            answer = getattr(self, f"_{operation}")(asked)
        except _Fault as fault:
            body = {"__type": fault.kind, "Message": str(fault)}
            return web.Response(status=400, text=json.dumps(body), content_type=_JSON)
        return web.Response(text=json.dumps(answer), content_type=_JSON)

    def _let_in(self, request: web.Request) -> None:
        token = request.headers.get("X-Amz-Security-Token", "")
        if self.accepted_key and self.keys[-1] != self.accepted_key:
            raise _Fault("UnrecognizedClientException", "The security token is invalid")
        if self.accepted_token and token != self.accepted_token:
            raise _Fault("ExpiredTokenException", "The security token is expired")
        if self.fault:
            raise _Fault(self.fault)

    def _collection(self, asked: dict[str, Any]) -> list[tuple[str, Any]]:
        try:
            return self.collections[asked["CollectionId"]]
        except KeyError:
            raise _Fault("ResourceNotFoundException", "The collection id does not exist") from None

    def _CreateCollection(self, asked: dict[str, Any]) -> Any:  # noqa: N802 - the wire's name
        if asked["CollectionId"] in self.collections:
            raise _Fault("ResourceAlreadyExistsException", "already exists")
        self.collections[asked["CollectionId"]] = []
        return {"StatusCode": 200, "FaceModelVersion": "7.0"}

    def _ListFaces(self, asked: dict[str, Any]) -> Any:  # noqa: N802 - the wire's name
        first = int(asked.get("NextToken", "0"))
        faces = self._collection(asked)
        answer: dict[str, Any] = {
            "Faces": [{"ExternalImageId": name} for name, _ in faces[first : first + 2]]
        }
        if first + 2 < len(faces):  # small pages, so that paging is needed
            answer["NextToken"] = str(first + 2)
        return answer

    def _IndexFaces(self, asked: dict[str, Any]) -> Any:  # noqa: N802 - the wire's name
        face = _face(asked)
        if face is None:
            return {"FaceRecords": [], "UnindexedFaces": []}
        self._collection(asked).append((asked["ExternalImageId"], face))
        return {"FaceRecords": [{"Face": {"ExternalImageId": asked["ExternalImageId"]}}]}

    def _SearchFacesByImage(self, asked: dict[str, Any]) -> Any:  # noqa: N802 - the wire's name
        if self.throttle:
            self.throttle -= 1
            raise _Fault("ProvisionedThroughputExceededException")
        known = self._collection(asked)
        face = _face(asked)
        if face is None:
            raise _Fault("InvalidParameterException", "There are no faces in the image.")
        matches = sorted(
            ((100 * float((face * other).mean()), name) for name, other in known), reverse=True
        )
        return {
            "SearchedFaceConfidence": 99.0,
            "FaceMatches": [
                {"Similarity": likeness, "Face": {"ExternalImageId": name}}
                for likeness, name in itertools.islice(matches, asked["MaxFaces"])
                if likeness >= asked["FaceMatchThreshold"]
            ],
        }


def _face(asked: dict[str, Any]) -> Any | None:
    """A small normalised picture of what is not background; `None` where there is nothing."""
    try:
        data = base64.b64decode(asked["Image"]["Bytes"], validate=True)
    except (KeyError, ValueError):
        raise _Fault("InvalidImageFormatException") from None
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    if picture is None:
        raise _Fault("InvalidImageFormatException")
    values = np.asarray(picture, np.float32)
    rows, columns = np.nonzero(np.abs(values - np.median(values[:4])) > 24)
    if rows.size < 400:
        return None
    cut = values[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    small = cv2.resize(cut, (48, 48), interpolation=cv2.INTER_AREA)
    return np.asarray((small - small.mean()) / (small.std() + 1e-6))
