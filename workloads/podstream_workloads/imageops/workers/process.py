"""One worker process as its parent sees it: start it, give it a job, end it."""

import math
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec

from podstream_workloads.imageops.workers.jobs import (
    MAX_MESSAGE_BYTES,
    Done,
    Job,
    Refused,
    Reply,
    Step,
)
from podstream_workloads.imageops.workers.launch import WorkerLaunch
from podstream_workloads.imageops.workers.segments import Segment

START_TIMEOUT_S: Final = 60.0
_REPLY: Final[Any] = Reply
_GRACE_S: Final = 0.05
"""A job that is not wanted any more may end by itself within this; starting anew takes longer."""
_COMMAND: Final = (sys.executable, "-m", "podstream_workloads.imageops.workers.worker")


class WorkerGone(Exception):
    """The worker died over the job; the message names the signal or status."""


class JobLate(Exception):
    """The job took longer than it may; the worker was ended."""


class JobCancelled(Exception):
    """Nobody wants the result any more; the worker was ended."""


class Cancellation:
    """Tells a waiting thread that its job is not wanted any more."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._callbacks: list[Callable[[], None]] = []
        self.is_set = False

    def set(self) -> None:
        """Cancel; safe from any thread, more than once, and after `close`."""
        with self._lock:
            if self.is_set:
                return
            self.is_set = True
            if self._fd >= 0:
                os.eventfd_write(self._fd, 1)
            callbacks = list(self._callbacks)
        for callback in callbacks:
            callback()

    def on_set(self, callback: Callable[[], None]) -> None:
        """Have something called when it is set, at once if it is already."""
        with self._lock:
            self._callbacks.append(callback)
            is_set = self.is_set
        if is_set:
            callback()

    def fileno(self) -> int:
        """Readable once it is set."""
        return self._fd

    def close(self) -> None:
        """Free the descriptor; nobody waits any more."""
        with self._lock:
            fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


class WorkerProcess:
    """A worker; used by one thread at a time."""

    def __init__(self, *, memory_bytes: int, cpu_s: float) -> None:
        """Start the process. Call it on a thread that outlives it: the kernel ends it with that.

        Args:
            memory_bytes: what a job may take beyond the loaded worker.
            cpu_s: CPU time that one job may take, seconds.

        Raises:
            OSError: no process can be started.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            launch = WorkerLaunch(
                socket_fd=theirs.fileno(), parent_pid=os.getpid(), memory_bytes=memory_bytes
            )
            self._popen = subprocess.Popen(
                [*_COMMAND, msgspec.json.encode(launch).decode()],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                # One thread each: more gain nothing on busy cores, and would escape the filter.
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            )
        self._socket = ours
        self._cpu_s = cpu_s
        self._cpu_used_s = 0.0
        self.jobs = 0
        self.is_confined = False
        """Whether the kernel filters the worker's system calls; known once it is ready."""

    @property
    def pid(self) -> int:
        """Process id."""
        return self._popen.pid

    def wait_ready(self) -> bool:
        """Whether the worker has loaded everything."""
        try:
            is_ready = _readable(START_TIMEOUT_S, self._socket.fileno())
            greeting = self._socket.recv(MAX_MESSAGE_BYTES) if is_ready else b""
        except OSError:
            greeting = b""
        self.is_confined = greeting == b"confined"
        if not greeting:
            self.stop()
        return bool(greeting)

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
        """Have a job done; afterwards, if it raised, the worker is gone.

        Raises:
            WorkerGone: it died.
            JobLate: no result within `timeout_s`.
            JobCancelled: `cancellation` was set.
        """
        self.jobs += 1
        deadline = time.monotonic() + timeout_s
        try:
            self._bound_cpu()
            message = msgspec.json.encode(job)
            socket.send_fds(self._socket, [message], [source.fd, target.fd])
            while True:
                self._wait(deadline, cancellation)
                reply: Step | Done | Refused = msgspec.json.decode(self._receive(), type=_REPLY)
                if isinstance(reply, Step):
                    on_step(reply.done)
                    continue
                self._cpu_used_s = reply.cpu_s
                return reply
        except (OSError, msgspec.MsgspecError) as error:
            raise WorkerGone(self._cause() or str(error)) from error
        except BaseException:
            self.stop()
            raise

    def end(self) -> None:
        """End the process while another thread may use it, which then learns that it is gone."""
        self._popen.kill()

    def stop(self) -> None:
        """End the process and free what belongs to it."""
        self._socket.close()
        self._popen.kill()
        self._popen.wait()

    def _bound_cpu(self) -> None:
        """Give the next job its CPU time: the kernel ends a process above its soft limit."""
        _, hard = resource.prlimit(self.pid, resource.RLIMIT_CPU)
        soft = math.ceil(self._cpu_used_s + self._cpu_s) + 1
        resource.prlimit(self.pid, resource.RLIMIT_CPU, (soft, hard))

    def _wait(self, deadline: float, cancellation: Cancellation) -> None:
        """Return when there is an answer, or the worker's end."""
        channel, cancelled = self._socket.fileno(), cancellation.fileno()
        ready = _readable(deadline - time.monotonic(), channel, cancelled)
        # Not wanted any more; what ends by itself needs no new worker.
        if channel not in ready and not _readable(_GRACE_S, channel):
            raise JobCancelled if cancelled in ready else JobLate

    def _receive(self) -> bytes:
        message = self._socket.recv(MAX_MESSAGE_BYTES)
        if not message:
            raise WorkerGone(self._cause() or "it closed its socket")
        return message

    def _cause(self) -> str:
        """How the process ended, in words; it is ended if it has not."""
        try:
            code = self._popen.wait(timeout=1)
        except subprocess.TimeoutExpired:
            self.stop()
            return "it broke the protocol"
        self._socket.close()
        if code == -signal.SIGXCPU:
            return f"decoder limit: more than {self._cpu_s:g} s of CPU time"
        if code < 0:
            return f"decoder limit: ended by {signal.Signals(-code).name}"
        return f"ended with status {code}"


def _readable(timeout_s: float, *fds: int) -> set[int]:
    """Which descriptors can be read from, or have ended; none after the timeout."""
    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN)
    return {fd for fd, _ in poll.poll(max(0.0, timeout_s) * 1000)}
