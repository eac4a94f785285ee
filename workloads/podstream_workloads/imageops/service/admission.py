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

    def beside(self, held_bytes: int) -> "Reservation":
        """A reservation for work on what another reservation holds already."""
        return Reservation(self, held_bytes=held_bytes)

    def add(self, count: int, *, whole: int) -> None:
        """Count bytes as used; for `Reservation`.

        Args:
            count: bytes more.
            whole: bytes of the call with them.

        Raises:
            CallError: too large at all, or busy now.
        """
        with self._lock:
            if whole > self._memory_bytes:
                raise CallError(
                    Rejection.TOO_LARGE,
                    f"the picture needs {_mib(whole)} MiB of memory; the session has "
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

    def __init__(self, admission: Admission, *, held_bytes: int = 0) -> None:
        """Make one without memory of its own.

        Args:
            admission: whose memory it is.
            held_bytes: of the call's memory another reservation holds so much all the time.
        """
        self._admission = admission
        self._held = held_bytes
        self._count = 0
        """Own bytes."""

    def grow_to(self, count: int) -> None:
        """Reserve up to so many bytes in all, those that are held elsewhere among them.

        Raises:
            CallError: too large at all, or busy now; what was reserved stays.
        """
        own = count - self._held
        if own > self._count:
            self._admission.add(own - self._count, whole=count)
            self._count = own

    def shrink_to(self, count: int) -> None:
        """Keep so many bytes in all and free the others; what is held elsewhere stays."""
        own = max(0, count - self._held)
        if own < self._count:
            self._admission.remove(self._count - own)
            self._count = own

    def hand_over(self, count: int) -> "Reservation":
        """A reservation of its own for so many of the own bytes, which nobody can take between."""
        assert count <= self._count
        self._count -= count
        other = Reservation(self._admission)
        other._count = count
        return other

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
