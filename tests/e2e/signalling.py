"""Raw TCP clients of the signalling listener: they say what they like, or nothing."""

import contextlib
import json
import select
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from e2e import kube
from e2e.sessions import Session

_CONNECT_S = 10.0
_SMALLEST_WINDOW = 1
"""The kernel makes the least of it that it can: about 2 KB, less than an offer."""

Address = tuple[str, int]


def address_of(made: Session) -> Address:
    """Where the session's status says that signalling clients connect."""
    host, _, port = made.endpoint("Signalling").removeprefix("tcp://").rpartition(":")
    return host, int(port)


class Wire:
    """One connection."""

    def __init__(self, address: Address, *, is_narrow: bool = False) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if is_narrow:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALLEST_WINDOW)
        self._socket.settimeout(_CONNECT_S)
        self._socket.connect(address)

    def close(self) -> None:
        self._socket.close()

    def offer(self, *, timeout_s: float = 20) -> dict[str, Any] | None:
        """The server's first message; `None` where it closes without one."""
        line = self.line(timeout_s=timeout_s)
        if not line:
            return None
        message: dict[str, Any] = json.loads(line)
        return message

    def line(self, *, timeout_s: float = 20) -> bytes:
        """What the server says until the end of a line, or until it closes."""
        self._socket.settimeout(timeout_s)
        line = b""
        with contextlib.suppress(ConnectionError):
            while not line.endswith(b"\n"):
                chunk = self._socket.recv(65536)
                if not chunk:
                    break
                line += chunk
        return line

    def is_spoken_to(self, *, timeout_s: float = 20) -> bool:
        """Wait until the server has sent something, and leave all of it unread."""
        self._socket.settimeout(timeout_s)
        with contextlib.suppress(ConnectionError):
            return bool(self._socket.recv(1, socket.MSG_PEEK))
        return False

    def send(self, data: bytes) -> None:
        """Send, unless the server has closed already."""
        with contextlib.suppress(ConnectionError):
            self._socket.sendall(data)

    def closed_within(self, timeout_s: float, *, drip: bytes = b"") -> float:
        """Wait until the server closes; return the seconds that took.

        Args:
            timeout_s: Longest wait.
            drip: Sent over and over, a byte at a time, about 20 a second.

        Raises:
            AssertionError: the connection is still open after that time.
        """
        begun = time.monotonic()
        sent = 0
        with contextlib.suppress(ConnectionError):
            while (waited := time.monotonic() - begun) < timeout_s:
                pause_s = 0.05 if drip else timeout_s - waited
                readable, _, _ = select.select([self._socket], [], [], pause_s)
                if readable and not self._socket.recv(65536):
                    break
                if drip and not readable:
                    self._socket.send(drip[sent % len(drip) :][:1])
                    sent += 1
            else:
                raise AssertionError(f"the connection is still open after {timeout_s} s")
        return time.monotonic() - begun

    def flood(self, *, limit: int) -> int:
        """Send without an end of line until the server closes; the bytes that could be sent.

        Raises:
            AssertionError: the server has taken `limit` bytes and wants more.
        """
        self._socket.settimeout(_CONNECT_S)
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < limit:
                sent += self._socket.send(b"a" * 16384)
            raise AssertionError(f"{sent} bytes were taken without an end of line")
        return sent


@contextmanager
def wire(address: Address) -> Iterator[Wire]:
    """A connection that is closed on leaving."""
    made = Wire(address)
    try:
        yield made
    finally:
        made.close()


@contextmanager
def served(address: Address, *, timeout_s: float = 20, is_deaf: bool = False) -> Iterator[Wire]:
    """A connection that has the session's only place: it has got the offer.

    A place that has just become free is tried for until it is given.

    Args:
        address: Of the listener.
        timeout_s: Longest wait for the place.
        is_deaf: Leave the offer unread, in a window that it does not fit in.
    """

    def attempt() -> Wire | None:
        made = Wire(address, is_narrow=is_deaf)
        if is_deaf:
            has_place = made.is_spoken_to()
        else:
            offer = made.offer()
            has_place = offer is not None
            assert offer is None or offer["type"] == "offer"
        if not has_place:
            made.close()
        return made if has_place else None

    made = kube.until(attempt, what="an offer of the session", timeout_s=timeout_s)
    assert made is not None
    try:
        yield made
    finally:
        made.close()
