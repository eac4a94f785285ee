"""Who may use how much memory: decided by declared sizes, before anything is allocated."""

import threading
from types import TracebackType

from podstream_workloads.imageops.limits import MIB
from podstream_workloads.imageops.service.errors import CallError, busy
from podstream_workloads.imageops.statistics import Rejection


class Admission:
    """The memory of one session; safe to use from threads."""

    def __init__(self, memory_bytes: int) -> None:
        self._memory_bytes = memory_bytes
        self._used_bytes = 0
        self._lock = threading.Lock()

    @property
    def used_bytes(self) -> int:
        """Bytes that are reserved now."""
        return self._used_bytes

    def reserve(self, count: int) -> "Reservation":
        """Reserve bytes.

        Raises:
            CallError: too large at all, or busy now.
        """
        reservation = Reservation(self)
        reservation.grow_to(count)
        return reservation

    def add(self, count: int) -> None:
        """Count bytes as used; for `Reservation`.

        Raises:
            CallError: too large at all, or busy now.
        """
        with self._lock:
            if count > self._memory_bytes:
                raise CallError(
                    Rejection.TOO_LARGE,
                    f"the picture needs {_mib(count)} MiB of memory; the session has "
                    f"{_mib(self._memory_bytes)} MiB (spec.imageOps.memoryMiB)",
                )
            if self._used_bytes + count > self._memory_bytes:
                raise busy(
                    f"{_mib(self._used_bytes)} MiB of {_mib(self._memory_bytes)} MiB are in use, "
                    f"the picture needs {_mib(count)} MiB more; try again later"
                )
            self._used_bytes += count

    def remove(self, count: int) -> None:
        """Count bytes as free again; for `Reservation`."""
        with self._lock:
            self._used_bytes -= count


class Reservation:
    """Memory of one call or object."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._count = 0

    def grow_to(self, count: int) -> None:
        """Reserve up to so many bytes in all.

        Raises:
            CallError: too large at all, or busy now; what was reserved stays.
        """
        if count > self._count:
            self._admission.add(count - self._count)
            self._count = count

    def shrink_to(self, count: int) -> None:
        """Keep so many bytes and free the others."""
        if count < self._count:
            self._admission.remove(self._count - count)
            self._count = count

    def __enter__(self) -> "Reservation":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.shrink_to(0)


def _mib(count: int) -> int:
    return -(-count // MIB)
