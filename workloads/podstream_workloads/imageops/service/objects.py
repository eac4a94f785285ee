"""Pictures that outlive their call: uploads that are continued, and results of chains.

An upload is committed chunk by chunk; what is committed stays. They live as long as the session's
pod and are dropped after some time without use; their memory counts like that of calls.
"""

import hashlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import grpc

from podstream_workloads.imageops.service.admission import Reservation
from podstream_workloads.imageops.service.engine import Answer, Engine
from podstream_workloads.imageops.service.errors import CallError, invalid
from podstream_workloads.imageops.statistics import Rejection
from podstream_workloads.imageops.wire import podstream_image_v1_pb2 as pb
from podstream_workloads.imageops.workers.segments import Segment

COMMITTED_TRAILER: Final = "podstream-committed-size"
MAX_OBJECTS: Final = 1000
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,100}\Z")


@dataclass(eq=False)
class StoredObject:
    """One picture."""

    name: str
    size: int
    segment: Segment
    reservation: Reservation
    used_at: float
    committed: int = 0
    """Bytes that are written: they stay."""
    taken: int = 0
    """The same and those that are being written; another call goes on at `committed`."""
    is_complete: bool = False
    digest: bytes = b""
    result: pb.Result | None = None
    users: int = 0
    """Calls that read or write it now: it is neither dropped nor freed meanwhile."""
    is_deleted: bool = False
    is_written: bool = False
    """Whether a call is writing to it: there is one at a time."""
    hasher: "hashlib._Hash" = field(default_factory=hashlib.sha256)


class ObjectStore:
    """All objects of one session; safe to use from threads."""

    def __init__(
        self, engine: Engine, *, idle_s: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._engine = engine
        self._idle_s = idle_s
        self._now = now
        self._lock = threading.Lock()
        self._objects: dict[str, StoredObject] = {}

    def begin(self, name: str, *, size: int) -> StoredObject:
        """A new upload, or the one of that name to be continued; `end_upload` must follow.

        Raises:
            CallError: name or size are wrong, it exists with another size, another call writes to
                it, or no room is left.
        """
        self._check_name(name)
        with self._lock:
            self._drop_idle()
            found = self._objects.get(name)
            if found is not None:
                if size not in (0, found.size):
                    raise CallError(
                        Rejection.INVALID,
                        f"{name} exists with {found.size} bytes: delete it or take another name",
                        code=grpc.StatusCode.ALREADY_EXISTS,
                    )
                return self._write(found)
            limit = self._engine.limits.max_upload_bytes
            if not 0 < size <= limit:
                kind = Rejection.TOO_LARGE if size > limit else Rejection.INVALID
                raise CallError(kind, f"size is 1 to {limit} bytes, not {size}")
            return self._write(self._create(name, size))

    def put(
        self, name: str, answer: Answer, *, result: pb.Result, memory: Reservation
    ) -> pb.Object:
        """Keep a result under a new name; its segment is the object's from now on.

        `memory` is the call's reservation: what the result needs of it is handed to the object.

        Raises:
            CallError: the name is wrong or taken; the segment is freed then.
        """
        size, segment = answer.done.size, answer.segment
        digest = _digest(segment, size)
        try:
            with self._lock:
                self._require_free(name)
                stored = StoredObject(
                    name=name,
                    size=size,
                    segment=segment,
                    reservation=memory.hand_over(size),
                    used_at=self._now(),
                    committed=size,
                    is_complete=True,
                    digest=digest,
                    result=result,
                )
                self._objects[name] = stored
        except CallError:
            self._engine.segments.give(segment)
            raise
        return self.describe(stored)

    def require_free(self, name: str) -> None:
        """Refuse a name that is wrong or taken.

        Raises:
            CallError: it is.
        """
        with self._lock:
            self._drop_idle()
            self._require_free(name)

    @contextmanager
    def using(self, name: str) -> Iterator[StoredObject]:
        """An object, which is kept meanwhile.

        Raises:
            CallError: there is none of that name.
        """
        with self._lock:
            self._drop_idle()
            stored = self._use(self._find(name))
        try:
            yield stored
        finally:
            self._leave(stored)

    def end_upload(self, stored: StoredObject) -> None:
        """The call that `begin` was for writes no more."""
        stored.is_written = False
        stored.taken = stored.committed
        self._leave(stored)

    def delete(self, name: str) -> None:
        """Drop an object; calls that use it go on to their end.

        Raises:
            CallError: there is none of that name.
        """
        with self._lock:
            stored = self._find(name)
            self._remove(stored)
            if not stored.users:
                self._free(stored)

    def clear(self) -> None:
        """Drop all objects."""
        with self._lock:
            for stored in list(self._objects.values()):
                self._remove(stored)
                if not stored.users:
                    self._free(stored)

    def describe(self, stored: StoredObject) -> pb.Object:
        """The object as clients see it."""
        message = pb.Object(
            name=stored.name,
            size=stored.size,
            committed_size=stored.committed,
            complete=stored.is_complete,
            sha256=stored.digest,
            expires_in_seconds=int(self._idle_s),
        )
        if stored.result is not None:
            message.result.CopyFrom(stored.result)
        return message

    def _create(self, name: str, size: int) -> StoredObject:
        if len(self._objects) >= MAX_OBJECTS:
            raise CallError(Rejection.TOO_LARGE, f"at most {MAX_OBJECTS} objects are kept")
        reservation = self._engine.admission.reserve(size)
        stored = StoredObject(
            name=name,
            size=size,
            segment=self._engine.segments.take(size),
            reservation=reservation,
            used_at=self._now(),
        )
        self._objects[name] = stored
        return stored

    def _find(self, name: str) -> StoredObject:
        found = self._objects.get(name)
        if found is None:
            raise CallError(
                Rejection.INVALID,
                f"there is no object {name[:100]!r} in this session: upload it (again)",
                code=grpc.StatusCode.NOT_FOUND,
            )
        return found

    def _write(self, stored: StoredObject) -> StoredObject:
        if stored.is_written:
            raise CallError(
                Rejection.BUSY,
                f"another call is uploading {stored.name}",
                code=grpc.StatusCode.ABORTED,
            )
        stored.is_written = True
        return self._use(stored)

    def _leave(self, stored: StoredObject) -> None:
        with self._lock:
            stored.users -= 1
            stored.used_at = self._now()
            if stored.is_deleted and not stored.users:
                self._free(stored)

    def _use(self, stored: StoredObject) -> StoredObject:
        stored.users += 1
        stored.used_at = self._now()
        return stored

    def _require_free(self, name: str) -> None:
        self._check_name(name)
        if name in self._objects:
            raise CallError(
                Rejection.INVALID,
                f"{name} exists already: delete it or take another name",
                code=grpc.StatusCode.ALREADY_EXISTS,
            )

    def _check_name(self, name: str) -> None:
        if not _NAME.match(name):
            raise invalid("a name has 1 to 100 letters, digits, dots, dashes or underscores")

    def _drop_idle(self) -> None:
        horizon = self._now() - self._idle_s
        for stored in list(self._objects.values()):
            if not stored.users and stored.used_at < horizon:
                self._remove(stored)
                self._free(stored)

    def _remove(self, stored: StoredObject) -> None:
        stored.is_deleted = True
        if self._objects.get(stored.name) is stored:
            del self._objects[stored.name]

    def _free(self, stored: StoredObject) -> None:
        stored.reservation.shrink_to(0)
        self._engine.segments.give(stored.segment)


def append(stored: StoredObject, *, offset: int, data: memoryview) -> Callable[[], None]:
    """Take a chunk at the end of what has been taken.

    Returns:
        What writes and commits it: the next chunk may be taken meanwhile, and no more.

    Raises:
        CallError: the chunk belongs elsewhere, or is longer than the object; the trailer tells
            where to go on.
    """
    if offset != stored.taken:
        raise CallError(
            Rejection.INVALID,
            f"offset {offset} is not the committed size {stored.taken}: go on there",
            code=grpc.StatusCode.OUT_OF_RANGE,
            trailers=((COMMITTED_TRAILER, str(stored.taken)),),
        )
    if offset + len(data) > stored.size:
        raise invalid(f"the upload has more than the {stored.size} bytes that were declared")
    stored.taken += len(data)

    def commit() -> None:
        stored.segment.write(offset, data)
        stored.hasher.update(data)
        stored.committed += len(data)

    return commit


def finish(stored: StoredObject, *, sha256: bytes) -> None:
    """Complete an upload; the same again changes nothing.

    Raises:
        CallError: bytes are missing, or the checksum is another; the object stays as it is.
    """
    if stored.committed != stored.size:
        raise CallError(
            Rejection.INVALID,
            f"{stored.size - stored.committed} of {stored.size} bytes are missing",
            code=grpc.StatusCode.OUT_OF_RANGE,
            trailers=((COMMITTED_TRAILER, str(stored.committed)),),
        )
    digest = stored.digest or stored.hasher.digest()
    if sha256 and sha256 != digest:
        raise invalid("the checksum is not that of the uploaded bytes: delete the object and retry")
    stored.digest, stored.is_complete = digest, True


def _digest(segment: Segment, size: int) -> bytes:
    hasher = hashlib.sha256()
    for offset in range(0, size, 1 << 20):
        hasher.update(segment.read(offset, min(1 << 20, size - offset)))
    return hasher.digest()
