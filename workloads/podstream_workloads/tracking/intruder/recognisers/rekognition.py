"""AWS Rekognition: a collection of the known faces, searched by picture.

boto3 blocks, so it works in threads. Whatever AWS, the network or the credentials do, the answer
is a verdict: everything but a face that was compared is undetermined.
"""

import asyncio
import contextlib
import logging
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import boto3
import botocore.config
import botocore.exceptions
import botocore.session

from podstream_workloads.tracking.intruder.buckets import TokenBucket
from podstream_workloads.tracking.intruder.recognisers.credentials import (
    MountedSecret,
    NoCredentials,
)
from podstream_workloads.tracking.intruder.verdict import Outcome, Verdict, undetermined

logger = logging.getLogger(__name__)

_IMAGE_BYTES: Final = 5 * 1024 * 1024
"""The service's limit for a picture in a request."""
_REMEMBERED: Final = 1000
"""Tracks whose last verdict is kept."""
_PREPARE_AGAIN_S: Final = 10.0
"""Between attempts to make the collection, where the first one failed."""
_SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg"})


@dataclass(frozen=True, slots=True)
class RekognitionSettings:
    """Which collection, and how often."""

    credentials: Path | None = None
    """Folder of the mounted Secret; `None` leaves it to boto3 (environment, instance role)."""
    region: str = "us-east-1"
    endpoint_url: str | None = None
    """Another address than AWS's own."""
    collection: str = "known_persons"
    faces: Path | None = None
    """Pictures of the known people, indexed at the start unless they are in the collection."""
    threshold: float = 75.0
    """`FaceMatchThreshold`, percent."""
    tries: int = 3
    timeout_s: float = 5.0
    """Of connecting and of reading, per try."""
    requests_per_s: float = 5.0
    """Searches; AWS's own quota begins at 5 per second in most regions."""
    burst: int = 10
    wait_s: float = 2.0
    """Longest wait for a turn; then the picture is undetermined."""
    track_interval_s: float = 0.0
    """At most one search per track or device in so many seconds, answered from memory in between;
    0 searches for every picture. Only for callers whose `device_id` names one person's track."""


class RekognitionRecogniser:
    """Asks AWS."""

    name = "rekognition"

    def __init__(self, settings: RekognitionSettings) -> None:
        self._settings = settings
        self._bucket = TokenBucket(settings.requests_per_s, burst=settings.burst)
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="rekognition")
        self._client: Any = None
        self._ready = False
        self._preparing = asyncio.Lock()
        self._prepare_at = 0.0
        self._why_not = ""
        self._verdicts: OrderedDict[str, tuple[float, Verdict]] = OrderedDict()
        self.calls = 0
        """Searches that AWS was asked for."""

    @property
    def trouble(self) -> str:
        """Why the collection is not there yet, after a first attempt."""
        return "" if self._ready else self._why_not

    async def open(self) -> None:
        """Make the collection and index the known faces; a failure is tried again later."""
        await self._prepare()

    async def recognise(self, picture: bytes, *, track: str) -> Verdict:
        """The verdict on a picture's largest face."""
        interval = self._settings.track_interval_s
        remembered = self._verdicts.get(track)
        if interval and remembered and time.monotonic() - remembered[0] < interval:
            return remembered[1]
        if len(picture) > _IMAGE_BYTES:
            return undetermined(f"{len(picture)} bytes; Rekognition takes {_IMAGE_BYTES}")
        if not self._ready and not await self._prepare():
            return undetermined(self._why_not)
        try:
            async with asyncio.timeout(self._settings.wait_s):
                await self._bucket.taken()
        except TimeoutError:
            return undetermined("too many pictures a second for Rekognition")
        self.calls += 1
        verdict: Verdict = await self._in_thread(self._search, picture)
        if interval and verdict.outcome is not Outcome.UNDETERMINED:
            self._remember(track, verdict)
        return verdict

    async def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._client is not None:
            await asyncio.to_thread(self._client.close)

    async def _in_thread(self, work: Any, *given: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *given)

    def _remember(self, track: str, verdict: Verdict) -> None:
        self._verdicts[track] = (time.monotonic(), verdict)
        self._verdicts.move_to_end(track)
        while len(self._verdicts) > _REMEMBERED:
            self._verdicts.popitem(last=False)

    async def _prepare(self) -> bool:
        """Whether the collection is there and complete; asks again after a while where not."""
        async with self._preparing:
            if self._ready or time.monotonic() < self._prepare_at:
                return self._ready
            try:
                await self._in_thread(self._make_collection)
            except Exception as error:  # boto3 raises what its many layers raise
                self._why_not = _words(error)
                self._prepare_at = time.monotonic() + _PREPARE_AGAIN_S
                logger.warning("Rekognition is not ready: %s", self._why_not)
                return False
            self._ready = True
            return True

    # In threads

    def _make_collection(self) -> None:
        if self._client is None:
            self._client = self._make_client()
        try:
            self._client.create_collection(CollectionId=self._settings.collection)
        except self._client.exceptions.ResourceAlreadyExistsException:
            logger.warning("Collection %s already exists", self._settings.collection)
        if self._settings.faces is not None:
            self._index(self._settings.faces)

    def _index(self, folder: Path) -> None:
        """Index the folder's pictures under their names, those that are not there yet."""
        pages = self._client.get_paginator("list_faces").paginate(
            CollectionId=self._settings.collection
        )
        there = {face.get("ExternalImageId") for page in pages for face in page["Faces"]}
        for path in sorted(folder.iterdir()):
            name = external_id(path.stem)
            if path.suffix.lower() not in _SUFFIXES or name in there:
                continue
            try:
                answer = self._client.index_faces(
                    CollectionId=self._settings.collection,
                    Image={"Bytes": path.read_bytes()},
                    ExternalImageId=name,
                    MaxFaces=1,
                )
            except self._client.exceptions.InvalidParameterException as error:
                logger.error("%s was not indexed: %s", path.name, error)
                continue
            if not answer["FaceRecords"]:
                logger.error("%s was not indexed: no face in it", path.name)
            else:
                logger.info("Known face %s indexed", name)

    def _make_client(self) -> Any:
        session = botocore.session.Session()
        if self._settings.credentials is not None:
            providers = session.get_component("credential_provider")
            providers.insert_before("env", MountedSecret(self._settings.credentials))
        return boto3.Session(botocore_session=session).client(
            "rekognition",
            region_name=self._settings.region,
            endpoint_url=self._settings.endpoint_url,
            config=botocore.config.Config(
                connect_timeout=self._settings.timeout_s,
                read_timeout=self._settings.timeout_s,
                retries={"total_max_attempts": self._settings.tries, "mode": "standard"},
            ),
        )

    def _search(self, picture: bytes) -> Verdict:
        try:
            answer = self._client.search_faces_by_image(
                CollectionId=self._settings.collection,
                Image={"Bytes": picture},
                MaxFaces=1,
                FaceMatchThreshold=self._settings.threshold,
            )
        except self._client.exceptions.InvalidParameterException:
            return undetermined("no face found")
        except self._client.exceptions.ResourceNotFoundException as error:
            self._ready = False  # deleted meanwhile: the next picture makes it again
            return undetermined(_words(error))
        except Exception as error:  # boto3 raises what its many layers raise
            logger.warning("Rekognition: %s", _words(error))
            return undetermined(_words(error))
        matches = answer.get("FaceMatches", [])
        if len(matches) != 1:
            return Verdict(Outcome.UNKNOWN)
        with contextlib.suppress(KeyError, TypeError, ValueError):
            return Verdict(
                Outcome.KNOWN,
                name=str(matches[0]["Face"].get("ExternalImageId", "")),
                similarity=float(matches[0]["Similarity"]),
            )
        return undetermined("an answer of Rekognition that is not understood")


def external_id(name: str) -> str:
    """A name as Rekognition takes it: letters, digits and `_.-:`, 255 at most."""
    return "".join(
        letter if letter.isascii() and (letter.isalnum() or letter in "_.-:") else "_"
        for letter in name
    )[:255]


def _words(error: Exception) -> str:
    """An error in words that hold no credentials."""
    if isinstance(error, NoCredentials | botocore.exceptions.NoCredentialsError):
        return f"no credentials: {error}"
    if isinstance(error, botocore.exceptions.ClientError):
        details = error.response.get("Error", {})
        return f"Rekognition: {details.get('Code')}: {str(details.get('Message'))[:200]}"
    return f"Rekognition: {type(error).__name__}: {str(error)[:200]}"
