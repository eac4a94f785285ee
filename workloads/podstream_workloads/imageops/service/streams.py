"""Pieces of the streaming calls: messages that carry chunks, and work that tells its progress."""

import contextlib
import hashlib
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final, Generic, TypeVar

from google.protobuf.message import DecodeError, Message

from podstream_workloads.imageops.limits import CHUNK_BYTES
from podstream_workloads.imageops.service.engine import Engine
from podstream_workloads.imageops.service.errors import invalid
from podstream_workloads.imageops.service.overlap import Mover, ahead
from podstream_workloads.imageops.wire import podstream_image_v1_pb2 as pb
from podstream_workloads.imageops.wire.fields import (
    bytes_key,
    fields,
    integer,
    payload,
)
from podstream_workloads.imageops.workers.segments import Segment

_HEADER, _DATA = 1, 2
_RESULT_DATA: Final = 3
_NAME, _OFFSET, _UPLOAD_DATA, _SIZE, _FINISH, _SHA256 = range(1, 7)
_PROGRESS_BYTES: Final = 8 * CHUNK_BYTES
"""While a picture arrives, progress is told this often."""

MessageT = TypeVar("MessageT", bound=Message)
ResultT = TypeVar("ResultT")


def parse(kind: type[MessageT], data: bytes | memoryview) -> MessageT:
    """A small message, by its generated class.

    Raises:
        CallError: the bytes are none.
    """
    try:
        return kind.FromString(bytes(data))
    except DecodeError as error:
        raise invalid(f"the message cannot be read: {error}") from error


def read_header(message: bytes) -> pb.ProcessHeader:
    """The header that opens a `Process` call.

    Raises:
        CallError: the message is no header.
    """
    found: memoryview | None = None
    for number, value in fields(memoryview(message)):
        found = payload(value) if number == _HEADER else None
    if found is None:
        raise invalid("the first message must be the header")
    return parse(pb.ProcessHeader, found)


def receive(
    requests: Iterator[bytes],
    header: pb.ProcessHeader,
    segment: Segment,
    *,
    engine: Engine,
) -> Iterator[bytes]:
    """Take a picture's chunks into a segment, counting; yields progress where it is wanted.

    Raises:
        CallError: more or fewer bytes than declared, another message, or another checksum.
    """
    hasher = hashlib.sha256() if header.sha256 else None
    received = told = 0
    is_large = header.size > CHUNK_BYTES
    with Mover(engine.movers) as mover:
        for message in requests:
            for number, value in fields(memoryview(message)):
                if number != _DATA:
                    raise invalid("after the header only data may follow")
                data = payload(value)
                if received + len(data) > header.size:
                    raise invalid(f"more data than the {header.size} bytes that were declared")
                write = partial(segment.write, received, data)
                if is_large:
                    mover.begin(write)
                else:
                    write()
                received += len(data)
                if hasher is not None:
                    hasher.update(data)
            if header.progress and received - told >= _PROGRESS_BYTES:
                told = received
                yield progress_message(pb.Progress.STAGE_RECEIVING, received, header.size)
            if received < header.size:
                engine.precedence.give_way()
        mover.wait()
    if received != header.size:
        raise invalid(f"{received} bytes of data, {header.size} were declared")
    if hasher is not None and hasher.digest() != header.sha256:
        raise invalid("the checksum is not that of the data that has arrived")


def send(segment: Segment, size: int, *, engine: Engine) -> Iterator[bytes]:
    """A result's chunks and the trailer with their checksum, as messages of `Process`."""
    hasher = hashlib.sha256()

    def message(offset: int) -> bytes:
        data = segment.read(offset, min(CHUNK_BYTES, size - offset))
        hasher.update(data)
        return b"".join((bytes_key(_RESULT_DATA, len(data)), data))

    yield from in_turn(message, range(0, size, CHUNK_BYTES), engine=engine)
    yield pb.ProcessResponse(trailer=pb.Trailer(sha256=hasher.digest())).SerializeToString()


def in_turn(
    message: Callable[[int], bytes], offsets: Sequence[int], *, engine: Engine
) -> Iterator[bytes]:
    """A message for each offset; small calls go first before each that follows another."""
    if len(offsets) == 1:
        yield message(offsets[0])
        return
    made = ahead(engine.movers, (partial(message, offset) for offset in offsets))
    with contextlib.closing(made):
        for number, item in enumerate(made):
            if number:
                engine.precedence.give_way()
            yield item


def progress_message(stage: pb.Progress.Stage, done: int, total: int) -> bytes:
    """Progress, as a message of `Process` and of `Apply`: it has the same number in both."""
    progress = pb.Progress(stage=stage, done=done, total=total)
    return pb.ProcessResponse(progress=progress).SerializeToString()


class UploadPart:
    """An `UploadRequest` whose data stays a slice of the message."""

    def __init__(self, message: memoryview) -> None:
        """Read it.

        Raises:
            CallError: the name is no text.
            WireError: the bytes are no message.
        """
        self.name = ""
        self.offset = self.size = 0
        self.data = memoryview(b"")
        self.is_last = False
        self.sha256 = b""
        for number, value in fields(message):
            if number == _NAME:
                self.name = _text(payload(value))
            elif number == _OFFSET:
                self.offset = integer(value)
            elif number == _UPLOAD_DATA:
                self.data = payload(value)
            elif number == _SIZE:
                self.size = integer(value)
            elif number == _FINISH:
                self.is_last = integer(value) != 0
            elif number == _SHA256:
                self.sha256 = bytes(payload(value))


class Background(Generic[ResultT]):
    """Work on a thread of its own that tells its steps.

    A client that does not read its progress holds up this call's messages, never the worker.
    """

    def __init__(self, work: Callable[[Callable[[int], None]], ResultT]) -> None:
        """Begin; `work` is given the function to call at each step."""
        self._work = work
        self._steps: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._result: list[ResultT] = []
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="image-progress")
        self._thread.start()

    def steps(self) -> Iterator[int]:
        """Each step as it happens, until the work has ended."""
        while (step := self._steps.get()) is not None:
            yield step

    def result(self) -> ResultT:
        """What the work gave, once it has ended.

        Raises:
            Exception: what the work has raised.
        """
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._result.pop()

    def discard(self, clean_up: Callable[[ResultT], None]) -> None:
        """Wait for the work's end and have its result, if there is one, cleaned up."""
        self._thread.join()
        if self._result:
            clean_up(self._result.pop())

    def _run(self) -> None:
        try:
            self._result.append(self._work(self._steps.put))
        except Exception as error:  # handed on to the thread that waits for the result
            self._error = error
        finally:
            self._steps.put(None)


def _text(data: memoryview) -> str:
    try:
        return str(data, "utf-8")
    except UnicodeDecodeError as error:
        raise invalid("a name is no text") from error
