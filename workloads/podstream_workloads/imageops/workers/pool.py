"""The worker processes, and who gets the next free one.

Small pictures and large ones go by different lanes: one worker takes small ones only, so that no
large one ever stands before a small one; the others take both in the order of arrival. A worker
that died, was ended or has done its share of jobs is replaced at once by a spare that has loaded
everything already.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from podstream_workloads.imageops.workers.jobs import Done, Job, Refused
from podstream_workloads.imageops.workers.process import (
    Cancellation,
    JobCancelled,
    JobLate,
    WorkerGone,
    WorkerProcess,
)
from podstream_workloads.imageops.workers.segments import Segment

logger = logging.getLogger(__name__)

SMALL_PIXELS: Final = 1_000_000
"""Up to this a picture is small: a chain on it takes some milliseconds."""
_JOBS_PER_WORKER: Final = 2000
"""Then a worker is replaced: whatever decoders leak ends with it."""
_START_ATTEMPTS: Final = 5
_START_PAUSE_S: Final = 0.5


class PoolBusy(Exception):
    """Too many jobs wait already."""


class PoolClosed(Exception):
    """The pool has ended, or no worker can be started any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSettings:
    """How many workers there are and what one job may take."""

    workers: int
    """At least 2: one of them is kept for small pictures."""
    memory_bytes: int
    cpu_s: float
    max_waiting: int


@dataclass(slots=True, eq=False)
class _Waiter:
    is_small: bool
    given: threading.Event = field(default_factory=threading.Event)
    seat: "_Seat | None" = None


@dataclass(slots=True, eq=False)
class _Seat:
    """A place for a worker in one of the lanes."""

    is_small_only: bool
    worker: WorkerProcess | None = None


class WorkerPool:
    """Workers of one session; safe to use from several threads."""

    def __init__(self, settings: PoolSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._vacant = [_Seat(is_small_only=index == 0) for index in range(settings.workers)]
        self._idle: list[_Seat] = []
        self._spares: list[WorkerProcess] = []
        self._all: set[WorkerProcess] = set()
        self._waiting: deque[_Waiter] = deque()
        self._wanted = threading.Semaphore(0)
        self._settled = threading.Event()
        self._is_closed = False
        self._is_broken = False
        self._starter = threading.Thread(
            target=self._start_workers, name="image-workers", daemon=True
        )
        self.deaths = 0
        """Workers that died or were ended over a job."""

    def open(self) -> None:
        """Start the workers; return when all of them can work. A spare follows.

        Raises:
            PoolClosed: no worker can be started.
        """
        # Workers end with the thread that has started them, so that is one of their own.
        self._starter.start()
        self._wanted.release(self._settings.workers + 1)
        self._settled.wait()
        with self._lock:
            self._require_open()

    def close(self) -> None:
        """End all workers; jobs that run end with them."""
        with self._lock:
            self._is_closed = True
            waiting, self._waiting = list(self._waiting), deque()
            unused = [seat.worker for seat in self._idle if seat.worker] + self._spares
            busy = self._all.difference(unused)
        for waiter in waiting:
            waiter.given.set()
        for worker in busy:
            worker.end()
        self._settled.set()
        self._wanted.release()
        if self._starter.is_alive():
            self._starter.join()
        for worker in unused:
            worker.stop()

    @property
    def pids(self) -> list[int]:
        """Process ids of all workers, spares included."""
        with self._lock:
            return [worker.pid for worker in self._all]

    @property
    def free(self) -> int:
        """Workers that wait for a job, without the spare."""
        with self._lock:
            return len(self._idle)

    @property
    def is_confined(self) -> bool:
        """Whether the kernel filters the system calls of the workers that are free."""
        with self._lock:
            return all(seat.worker is not None and seat.worker.is_confined for seat in self._idle)

    def run(
        self,
        job: Job,
        *,
        source: Segment,
        target: Segment,
        timeout_s: float,
        cancellation: Cancellation,
        on_step: Callable[[int], None],
    ) -> Done | Refused:
        """Wait for a worker and have the job done; blocks.

        Raises:
            PoolBusy: too many wait already.
            PoolClosed: there are no workers any more.
            WorkerGone: the worker died over this job.
            JobLate: no result within `timeout_s`, the wait included.
            JobCancelled: `cancellation` was set.
        """
        begun = time.monotonic()
        seat, worker = self._take(job.pixels <= SMALL_PIXELS, timeout_s, cancellation)
        is_usable = False
        try:
            result = worker.run(
                job,
                source=source,
                target=target,
                timeout_s=timeout_s - (time.monotonic() - begun),
                cancellation=cancellation,
                on_step=on_step,
            )
            is_usable = worker.jobs < _JOBS_PER_WORKER
            return result
        except (WorkerGone, JobLate, JobCancelled):
            self.deaths += 1
            raise
        finally:
            self._give_back(seat, worker, is_usable=is_usable)

    def _take(
        self, is_small: bool, timeout_s: float, cancellation: Cancellation
    ) -> tuple[_Seat, WorkerProcess]:
        waiter = _Waiter(is_small)
        with self._lock:
            self._require_open()
            seat = self._pick_idle(is_small)
            if seat is None:
                if len(self._waiting) >= self._settings.max_waiting:
                    raise PoolBusy(f"{len(self._waiting)} pictures wait already; try again later")
                self._waiting.append(waiter)
        if seat is None:
            cancellation.on_set(waiter.given.set)
            waiter.given.wait(timeout_s)
            with self._lock:
                seat = waiter.seat
                if seat is None:
                    if waiter in self._waiting:
                        self._waiting.remove(waiter)
                    self._require_open()
        if seat is None:
            raise JobCancelled if cancellation.is_set else JobLate
        assert seat.worker is not None  # a seat that is given away has its worker
        return seat, seat.worker

    def _pick_idle(self, is_small: bool) -> _Seat | None:
        fitting = [seat for seat in self._idle if is_small or not seat.is_small_only]
        if not fitting:
            return None
        # A small one leaves the others to the large ones where it can.
        chosen = max(fitting, key=lambda seat: seat.is_small_only)
        self._idle.remove(chosen)
        return chosen

    def _give_back(self, seat: _Seat, worker: WorkerProcess, *, is_usable: bool) -> None:
        with self._lock:
            if is_usable and not self._is_closed:
                self._offer(seat)
                return
            self._all.discard(worker)
            seat.worker = None
            if self._spares and not self._is_closed:
                seat.worker = self._spares.pop()
                self._offer(seat)
            else:
                self._vacant.append(seat)
        worker.stop()
        self._wanted.release()

    def _offer(self, seat: _Seat) -> None:
        """Give a seat with its worker to the first in the queue that may have it."""
        for waiter in self._waiting:
            if waiter.is_small or not seat.is_small_only:
                self._waiting.remove(waiter)
                waiter.seat = seat
                waiter.given.set()
                return
        self._idle.append(seat)

    def _require_open(self) -> None:
        if self._is_closed:
            raise PoolClosed("the session ends")
        if self._is_broken:
            raise PoolClosed("no worker process can be started")

    def _start_workers(self) -> None:
        """Runs on a thread of its own: starts a worker whenever one is wanted."""
        while True:
            self._wanted.acquire()
            worker = self._start_worker()
            with self._lock:
                if worker is None:
                    self._is_broken = True
                    self._settled.set()
                    return
                if self._vacant:
                    seat = self._vacant.pop(0)
                    seat.worker = worker
                    self._offer(seat)
                else:
                    self._spares.append(worker)
                if not self._vacant:
                    self._settled.set()

    def _start_worker(self) -> WorkerProcess | None:
        """A worker that is ready; `None` where the pool is closed or none can be started."""
        for _ in range(_START_ATTEMPTS):
            with self._lock:
                if self._is_closed:
                    return None
                try:
                    worker = WorkerProcess(
                        memory_bytes=self._settings.memory_bytes, cpu_s=self._settings.cpu_s
                    )
                except OSError as error:
                    logger.error("worker not started: %s", error)
                    continue
                self._all.add(worker)
            if worker.wait_ready():
                return worker
            logger.error("a worker ended before it was ready")
            with self._lock:
                self._all.discard(worker)
            time.sleep(_START_PAUSE_S)
        return None
