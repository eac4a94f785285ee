"""podstream.image.v1.Images: pictures in chunks, chains, progress, uploads that are continued.

Bulk goes through handlers of raw bytes: chunks are slices of the messages that bring them, and go
straight into shared memory (proto/podstream_image_v1.proto).
"""

import contextlib
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any, Final

import grpc

from podstream_workloads.imageops.limits import CHUNK_BYTES
from podstream_workloads.imageops.operations.values import MAX_OPERATIONS
from podstream_workloads.imageops.service.admission import Reservation
from podstream_workloads.imageops.service.calls import Call, handled
from podstream_workloads.imageops.service.engine import Answer, Engine, Request, no_steps
from podstream_workloads.imageops.service.errors import CallError, invalid
from podstream_workloads.imageops.service.messages import (
    form_of,
    operations_of,
    output_of,
    result_of,
)
from podstream_workloads.imageops.service.objects import (
    ObjectStore,
    StoredObject,
    append,
    finish,
)
from podstream_workloads.imageops.service.overlap import Mover
from podstream_workloads.imageops.service.streams import (
    Background,
    UploadPart,
    in_turn,
    parse,
    progress_message,
    read_header,
    receive,
    send,
)
from podstream_workloads.imageops.statistics import Rejection
from podstream_workloads.imageops.wire import podstream_image_v1_pb2 as pb
from podstream_workloads.imageops.wire.fields import bytes_key, number_field
from podstream_workloads.imageops.workers.segments import Segment

SERVICE: Final = "podstream.image.v1.Images"
_OFFSET, _DATA = 1, 2


class ImagesService:
    """Handlers of podstream's own service."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._objects = ObjectStore(engine, idle_s=engine.limits.object_idle_s)

    def close(self) -> None:
        """Drop all objects."""
        self._objects.clear()

    def handlers(self) -> "Mapping[str, Mapping[str, grpc.RpcMethodHandler[Any, Any]]]":
        """Handlers by service and method, for raw bytes."""
        return {
            SERVICE: {
                "Process": grpc.stream_stream_rpc_method_handler(self.process),
                "Upload": grpc.stream_unary_rpc_method_handler(self.upload),
                "GetObject": grpc.unary_unary_rpc_method_handler(self.get_object),
                "Apply": grpc.unary_stream_rpc_method_handler(self.apply),
                "Download": grpc.unary_stream_rpc_method_handler(self.download),
                "DeleteObject": grpc.unary_unary_rpc_method_handler(self.delete_object),
                "GetLimits": grpc.unary_unary_rpc_method_handler(self.get_limits),
            }
        }

    # -- one call

    def process(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        """`Process`."""
        engine = self._engine
        with handled(context, engine.statistics) as call:
            header = read_header(next(requests, b""))
            limit = engine.limits.max_upload_bytes
            if not 0 < header.size <= limit:
                reason = Rejection.TOO_LARGE if header.size > limit else Rejection.INVALID
                allowed = f"1 to {limit} bytes (spec.imageOps.maxUploadMiB)"
                raise CallError(reason, f"size must be {allowed}, not {header.size}")
            request = _request(header)
            first = engine.precedence.call
            with engine.admission.reserve(header.size) as reservation:
                segment = engine.segments.take(header.size)
                try:
                    with first(header.size):
                        yield from receive(requests, header, segment, engine=engine)
                        source = _Source(segment, header.size, reservation, header.progress)
                        answer = yield from self._perform(request, source, call)
                finally:
                    engine.segments.give(segment)
                try:
                    with first(answer.done.size):
                        result = result_of(answer.done, request.output)
                        yield pb.ProcessResponse(result=result).SerializeToString()
                        yield from send(answer.segment, answer.done.size, engine=engine)
                finally:
                    engine.segments.give(answer.segment)

    def _perform(
        self, request: Request, source: "_Source", call: Call
    ) -> Generator[bytes, None, Answer]:
        """Work on a picture; yields progress where it is wanted, returns the answer."""

        def perform(on_step: Callable[[int], None]) -> Answer:
            return self._engine.perform(
                request,
                source=source.segment,
                size=source.size,
                reservation=source.reservation,
                call=call,
                on_step=on_step,
            )

        if not source.wants_progress:
            return perform(no_steps)
        total = len(request.operations)
        work = Background(perform)
        try:
            for done in work.steps():
                # Turning a file upright counts as no operation of the client's.
                stage = pb.Progress.STAGE_OPERATING
                yield progress_message(stage, min(done, total), total)
        except GeneratorExit:
            # The client has gone, so the work ends at once; its segments must outlive it.
            call.cancellation.set()
            work.discard(lambda answer: self._engine.segments.give(answer.segment))
            raise
        return work.result()

    # -- objects

    def upload(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        """`Upload`."""
        with handled(context, self._engine.statistics):
            stored: StoredObject | None = None
            try:
                with Mover(self._engine.movers) as mover:
                    for message in requests:
                        part = UploadPart(memoryview(message))
                        if stored is None:
                            stored = self._objects.begin(part.name, size=part.size)
                        if part.data:
                            mover.begin(append(stored, offset=part.offset, data=part.data))
                            self._engine.precedence.give_way()
                        if part.is_last:
                            mover.wait()
                            finish(stored, sha256=part.sha256)
                    mover.wait()
                if stored is None:
                    raise invalid("the upload has no message")
                return self._objects.describe(stored).SerializeToString()
            finally:
                if stored is not None:
                    self._objects.end_upload(stored)

    def get_object(self, message: bytes, context: grpc.ServicerContext) -> bytes:
        """`GetObject`."""
        with handled(context, self._engine.statistics):
            name = parse(pb.GetObjectRequest, message).name
            with self._objects.using(name) as stored:
                return self._objects.describe(stored).SerializeToString()
        raise AssertionError("handled never swallows")

    def apply(self, message: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        """`Apply`."""
        engine = self._engine
        with handled(context, engine.statistics) as call:
            wanted = parse(pb.ApplyRequest, message)
            request = _request(wanted)
            self._objects.require_free(wanted.target)
            with contextlib.ExitStack() as stack:
                stored = stack.enter_context(self._objects.using(wanted.name))
                _require_complete(stored)
                # The object's memory is its own all the time.
                memory = stack.enter_context(engine.admission.beside(stored.size))
                source = _Source(stored.segment, stored.size, memory, wanted.progress)
                answer = yield from self._perform(request, source, call)
                kept = self._objects.put(
                    wanted.target,
                    answer,
                    result=result_of(answer.done, request.output),
                    memory=memory,
                )
            yield pb.ApplyResponse(object=kept).SerializeToString()

    def download(self, message: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        """`Download`."""
        with handled(context, self._engine.statistics):
            wanted = parse(pb.DownloadRequest, message)
            with self._objects.using(wanted.name) as stored:
                _require_complete(stored)
                if not 0 <= wanted.offset <= stored.size or wanted.limit < 0:
                    raise CallError(
                        Rejection.INVALID,
                        f"offset {wanted.offset} lies outside the {stored.size} bytes",
                        code=grpc.StatusCode.OUT_OF_RANGE,
                    )
                end = min(stored.size, wanted.offset + (wanted.limit or stored.size))

                def part(offset: int) -> bytes:
                    data = stored.segment.read(offset, min(CHUNK_BYTES, end - offset))
                    key = number_field(_OFFSET, offset) + bytes_key(_DATA, len(data))
                    return b"".join((key, data))

                offsets = range(wanted.offset, end, CHUNK_BYTES)
                yield from in_turn(part, offsets, engine=self._engine)

    def delete_object(self, message: bytes, context: grpc.ServicerContext) -> bytes:
        """`DeleteObject`."""
        with handled(context, self._engine.statistics):
            self._objects.delete(parse(pb.DeleteObjectRequest, message).name)
        return b""

    def get_limits(self, message: bytes, context: grpc.ServicerContext) -> bytes:
        """`GetLimits`."""
        del message, context
        limits = self._engine.limits
        return pb.Limits(
            max_pixels=limits.max_pixels,
            max_message_bytes=limits.max_message_bytes,
            max_upload_bytes=limits.max_upload_bytes,
            memory_bytes=limits.memory_bytes,
            max_calls=limits.max_calls,
            timeout_seconds=limits.timeout_s,
            max_operations=MAX_OPERATIONS,
            slo_ms=limits.slo_ms or 0,
        ).SerializeToString()


class _Source:
    """A picture that has arrived, and the memory that its call holds."""

    def __init__(
        self, segment: Segment, size: int, reservation: Reservation, wants_progress: bool
    ) -> None:
        self.segment = segment
        self.size = size
        self.reservation = reservation
        self.wants_progress = wants_progress


def _request(message: pb.ProcessHeader | pb.ApplyRequest) -> Request:
    return Request(
        form=form_of(message.input),
        operations=operations_of(message.operations),
        output=output_of(message.output),
    )


def _require_complete(stored: StoredObject) -> None:
    if not stored.is_complete:
        raise invalid(f"{stored.name} is not complete: finish its upload first")
