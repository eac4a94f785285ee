"""Pushes raw frames at a steady rate to a session."""

import socket
import sys
import time
from collections.abc import Iterator
from itertools import islice
from typing import Final

from podstream_workloads.stream.frames import Frame

CONNECT_TIMEOUT_S: Final = 10.0
_REPORT_S: Final = 1.0


class Refused(Exception):
    """The session takes no frames; the message names cause and fix."""


def push(
    frames: Iterator[Frame], *, host: str, port: int, fps: float, count: int, quiet: bool
) -> int:
    """Send frames until they end; return how many were sent.

    Args:
        frames: all of one size.
        host: of the router.
        port: of its listener.
        fps: frames a second; 0 sends as fast as they are taken.
        count: at most so many; 0 for no limit.
        quiet: no line of progress on stderr.

    Raises:
        Refused: nobody listens, or the session ended the connection.
    """
    target = f"{host}:{port}"
    try:
        connection = socket.create_connection((host, port), timeout=CONNECT_TIMEOUT_S)
    except OSError as error:
        raise Refused(
            f"cannot connect to {target}: {error}. Check host and port, and that the chart opens "
            "the listener (kubectl -n podstream get service podstream-router)"
        ) from error
    sent = 0
    with connection, Progress(quiet) as report:
        connection.settimeout(None)
        begun = time.monotonic()
        for frame in islice(frames, count or None):
            if fps:
                time.sleep(max(begun + sent / fps - time.monotonic(), 0.0))
            try:
                connection.sendall(frame.data)
            except OSError as error:
                raise Refused(
                    f"{target} ended the connection after {sent} frames: {error}. No session "
                    "names the listener, or it has a publisher already: "
                    "kubectl get streamsessions; kubectl -n podstream logs deploy/podstream-router"
                ) from error
            sent += 1
            report(sent, time.monotonic() - begun)
    return sent


class Progress:
    """A line on stderr once a second, overwritten on a terminal."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._at = 0.0
        self._end = "\r" if sys.stderr.isatty() else "\n"

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        if self._end == "\r" and self._at:
            sys.stderr.write("\n")

    def __call__(self, sent: int, seconds: float) -> None:
        """Say how far it is; at most once a second."""
        if self._quiet or seconds - self._at < _REPORT_S:
            return
        self._at = seconds
        sys.stderr.write(f"{sent} frames, {sent / seconds:.1f} a second{self._end}")
        sys.stderr.flush()
