"""Joins two TCP connections in the kernel: no byte of theirs passes through Python.

Each direction has a pipe. `splice(2)` moves pages from a socket into the pipe and from the pipe
into the other socket; what does not fit stays where it is, so a slow receiver holds its sender back
by TCP's own window and nothing is buffered beyond the pipe. The end of one direction is passed on
as such (half-close); an error ends both.
"""

import asyncio
import errno
import fcntl
import os
import socket
from contextlib import suppress
from typing import Final

PIPE_BYTES: Final = 1 << 20
"""Capacity asked for; the kernel grants less to a user who holds many (pipe-user-pages-soft)."""
_TURN_BYTES: Final = 8 << 20
"""So much one direction moves before others have their turn."""
_FLAGS: Final = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK
_RESETS: Final = frozenset({errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN, errno.ETIMEDOUT})


class Broken(Exception):
    """A connection ended in disorder; the message names the cause."""


async def has_spoken(sock: socket.socket) -> bool:
    """Wait for a first byte, without taking it; false where the connection ends before.

    Args:
        sock: non-blocking.

    Raises:
        OSError: the connection was reset.
    """
    readable = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(sock, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(sock)
    return bool(sock.recv(1, socket.MSG_PEEK))


async def join(left: socket.socket, right: socket.socket) -> tuple[int, int]:
    """Pass bytes both ways until both directions have ended.

    The sockets are non-blocking and stay the caller's to close.

    Args:
        left: one connection.
        right: the other one.

    Returns:
        Bytes that went from left to right, and from right to left.

    Raises:
        Broken: a side was reset or could not be written to.
    """
    with _Direction(left, right) as there, _Direction(right, left) as back:
        running = {asyncio.ensure_future(there.done), asyncio.ensure_future(back.done)}
        try:
            there.step()
            back.step()
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_EXCEPTION)
            for future in done:
                future.result()
        finally:
            for future in running:
                future.cancel()
        return there.moved, back.moved


class _Direction:
    """Bytes from one socket to another."""

    def __init__(self, source: socket.socket, target: socket.socket) -> None:
        self._source = source
        self._target = target
        self._loop = asyncio.get_running_loop()
        self._out, self._in = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        with suppress(OSError):  # the default of 64 KiB serves, only slower
            fcntl.fcntl(self._in, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._held = 0
        """Bytes in the pipe."""
        self._has_ended = False
        self._reads = self._writes = False
        self.moved = 0
        self.done: asyncio.Future[None] = self._loop.create_future()

    def __enter__(self) -> "_Direction":
        return self

    def __exit__(self, *_: object) -> None:
        self._wait(reads=False, writes=False)
        os.close(self._out)
        os.close(self._in)

    def step(self) -> None:
        """Move what can be moved now, then wait for what is missing."""
        if self.done.done():
            return
        try:
            self._move()
        except OSError as error:
            self._wait(reads=False, writes=False)
            cause = os.strerror(error.errno) if error.errno in _RESETS else str(error)
            self.done.set_exception(Broken(cause))

    def _move(self) -> None:
        turn = 0
        while turn < _TURN_BYTES:
            taken = 0 if self._has_ended else self._take()
            given = self._give()
            turn += given
            if self._has_ended and not self._held:
                self._finish()
                return
            if not taken and not given:
                break
        else:
            # Others first: both ends are ready, so the loop calls again at once.
            self._wait(reads=not self._has_ended, writes=self._held > 0)
            return
        # A full pipe waits for the receiver alone: reading on would only spin.
        self._wait(reads=not self._has_ended and not self._held, writes=self._held > 0)

    def _take(self) -> int:
        """From the source into the pipe; 0 where nothing moves now."""
        try:
            count = os.splice(self._source.fileno(), self._in, PIPE_BYTES, flags=_FLAGS)
        except BlockingIOError:
            return 0
        if count == 0:
            self._has_ended = True
        self._held += count
        return count

    def _give(self) -> int:
        """From the pipe to the target; 0 where nothing moves now."""
        if not self._held:
            return 0
        try:
            count = os.splice(self._out, self._target.fileno(), self._held, flags=_FLAGS)
        except BlockingIOError:
            return 0
        self._held -= count
        self.moved += count
        return count

    def _finish(self) -> None:
        self._wait(reads=False, writes=False)
        with suppress(OSError):  # the other side may have gone altogether
            self._target.shutdown(socket.SHUT_WR)
        self.done.set_result(None)

    def _wait(self, *, reads: bool, writes: bool) -> None:
        """Be called when the source has bytes, or the target has room, or neither."""
        if reads != self._reads:
            self._reads = reads
            if reads:
                self._loop.add_reader(self._source.fileno(), self.step)
            else:
                self._loop.remove_reader(self._source.fileno())
        if writes != self._writes:
            self._writes = writes
            if writes:
                self._loop.add_writer(self._target.fileno(), self.step)
            else:
                self._loop.remove_writer(self._target.fileno())
