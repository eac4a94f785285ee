"""Has pictures worked on: plans, reserves, waits for a worker, counts."""

import concurrent.futures
import time
from collections.abc import Callable
from dataclasses import dataclass

from podstream_workloads.imageops.costs import require_within
from podstream_workloads.imageops.headers import FileFormat, TooManyFilePixels, inspect
from podstream_workloads.imageops.limits import ServiceLimits
from podstream_workloads.imageops.operations.plan import TooManyPixels
from podstream_workloads.imageops.operations.values import Operation, name_of
from podstream_workloads.imageops.output import Output
from podstream_workloads.imageops.service.admission import Admission, Reservation
from podstream_workloads.imageops.service.calls import Work
from podstream_workloads.imageops.service.errors import error_of
from podstream_workloads.imageops.service.precedence import Precedence
from podstream_workloads.imageops.statistics import Statistics
from podstream_workloads.imageops.workers.jobs import (
    Done,
    FileSource,
    Job,
    RawSource,
    Refused,
    make_job,
    require_raw,
)
from podstream_workloads.imageops.workers.pool import WorkerPool
from podstream_workloads.imageops.workers.segments import Segment, SegmentPool, SegmentSource


@dataclass(frozen=True, slots=True)
class FileForm:
    """The input is a picture file."""

    declared: FileFormat | None = None
    keep_depth: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is wanted of a picture that has arrived whole."""

    form: RawSource | FileForm
    operations: tuple[Operation, ...]
    output: Output


@dataclass(frozen=True, slots=True)
class Answer:
    """A result; its segment belongs to whoever has asked."""

    done: Done
    segment: Segment


def no_steps(done: int) -> None:
    """For calls that want no progress."""
    del done


class Engine:
    """What both services work with; safe to use from threads."""

    def __init__(
        self,
        *,
        limits: ServiceLimits,
        pool: WorkerPool,
        segments: SegmentPool,
        statistics: Statistics,
    ) -> None:
        self.limits = limits
        self.segments = segments
        self.statistics = statistics
        self.admission = Admission(limits.memory_bytes)
        self.precedence = Precedence()
        self.movers = concurrent.futures.ThreadPoolExecutor(
            limits.max_calls, thread_name_prefix="image-chunks"
        )
        """Threads for chunks of the calls, at most one for each."""
        self._pool = pool

    def close(self) -> None:
        """Free the threads; calls have ended."""
        self.movers.shutdown()

    def check_raw(self, source: RawSource, *, size: int) -> None:
        """Refuse raw values that are not what they are said to be; allocates nothing.

        Raises:
            ChainError: sides, or number of bytes.
            TooLarge: more pixels than allowed.
        """
        require_raw(source.shape, size=size)
        if source.shape.pixels > self.limits.max_pixels:
            raise TooManyPixels(
                f"{source.shape} has {source.shape.pixels} pixels: at most "
                f"{self.limits.max_pixels} are allowed ({self.limits.pixel_rule})"
            )

    def perform(
        self,
        request: Request,
        *,
        source: Segment,
        size: int,
        reservation: Reservation,
        call: Work,
        on_step: Callable[[int], None] = no_steps,
    ) -> Answer:
        """Work on a picture that lies in a segment; blocks.

        Args:
            request: what to do.
            source: holds the picture; stays the caller's.
            size: bytes of the picture.
            reservation: of the call; holds at least `size` bytes already.
            call: ends the work when it ends.
            on_step: told how many operations are done; 0: decoded.

        Raises:
            Exception: one that `translate` knows.
        """
        begun = time.monotonic()
        job = self._plan(request, source=source, size=size)
        reservation.grow_to(job.needs_bytes)
        target = self.segments.take(job.capacity)
        is_answered = False
        try:
            result = self._pool.run(
                job,
                source=source,
                target=target,
                timeout_s=call.remaining_s(at_most=self.limits.timeout_s),
                cancellation=call.cancellation,
                on_step=on_step,
            )
            if isinstance(result, Refused):
                raise error_of(result)
            is_answered = True
        finally:
            if not is_answered:
                self.segments.give(target)
        reservation.shrink_to(size + job.capacity)
        self.statistics.answered(
            operations=(name_of(operation) for operation in request.operations),
            bytes_in=size,
            bytes_out=result.size,
            pixels=job.pixels,
            seconds=time.monotonic() - begun,
        )
        return Answer(result, target)

    def _plan(self, request: Request, *, source: Segment, size: int) -> Job:
        """Judge the picture's structure and its way through the chain; no pixel is touched.

        Raises:
            Exception: one that `translate` knows.
        """
        limits, form = self.limits, request.form
        if isinstance(form, RawSource):
            self.check_raw(form, size=size)
        try:
            job_source = form if isinstance(form, RawSource) else _file(form, source, size, limits)
            job = make_job(
                job_source,
                input_bytes=size,
                operations=request.operations,
                output=request.output,
                max_pixels=limits.max_pixels,
            )
        except (TooManyPixels, TooManyFilePixels) as error:
            raise type(error)(f"{error} ({limits.pixel_rule})") from error
        if limits.slo_ms is not None:
            require_within(job, slo_ms=limits.slo_ms)
        return job


def _file(form: FileForm, source: Segment, size: int, limits: ServiceLimits) -> FileSource:
    picture = SegmentSource(source, size)
    header = inspect(picture, limits=limits.header, declared=form.declared)
    return FileSource(header=header, keep_depth=form.keep_depth)
