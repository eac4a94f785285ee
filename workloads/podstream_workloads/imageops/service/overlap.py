"""Moves chunks into and out of shared memory beside the call that they belong to.

A call's thread receives a chunk while the one before is still being written, and sends one while
the next is being read: system calls and checksums let go of the interpreter's lock, so both go on
at the same time. One chunk is ahead at most, so a transfer holds two.
"""

import concurrent.futures
from collections.abc import Callable, Generator, Iterable
from types import TracebackType
from typing import TypeVar

ResultT = TypeVar("ResultT")


class Mover:
    """Work of one transfer on another thread, one piece at a time.

    As a context it waits, at its end, for the piece that is under way: whatever that uses may be
    freed afterwards.
    """

    def __init__(self, threads: concurrent.futures.Executor) -> None:
        self._threads = threads
        self._last: concurrent.futures.Future[None] | None = None

    def begin(self, work: Callable[[], None]) -> None:
        """Begin a piece, once the one before has ended.

        Raises:
            Exception: what the one before has raised.
        """
        self.wait()
        self._last = self._threads.submit(work)

    def wait(self) -> None:
        """Return once all has ended.

        Raises:
            Exception: what the last piece has raised.
        """
        last, self._last = self._last, None
        if last is not None:
            last.result()

    def __enter__(self) -> "Mover":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._last is not None:
            concurrent.futures.wait([self._last])


def ahead(
    threads: concurrent.futures.Executor, pieces: Iterable[Callable[[], ResultT]]
) -> Generator[ResultT, None, None]:
    """Results of pieces of work in order; while one is used, the next is being made.

    Raises:
        Exception: what a piece has raised.
    """
    waiting = iter(pieces)
    first = next(waiting, None)
    if first is None:
        return
    made = threads.submit(first)
    try:
        for piece in waiting:
            result = made.result()
            made = threads.submit(piece)
            yield result
        yield made.result()
    finally:
        concurrent.futures.wait([made])
