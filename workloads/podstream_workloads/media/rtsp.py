"""RTSP (RFC 2326) by FFmpeg: how a camera or server is opened, and what is said where that fails.

Everything goes over the one TCP connection (interleaved, section 10.12): it needs no ports of its
own, passes NetworkPolicy, and loses no packets. Words never hold the URL, which may hold a
password.
"""

import socket
from typing import Final
from urllib.parse import urlsplit

import av
from av.container import InputContainer

_PORTS: Final = {"rtsp": 554, "rtsps": 322}
_OPTIONS: Final = {
    "rtsp_transport": "tcp",
    "protocol_whitelist": "tcp,tls,rtp",
    # Frames carry their own times: their rate need not be found out before the first one is shown.
    "fpsprobesize": "0",
    "analyzeduration": "1000000",
}
_UNAUTHORIZED: Final = (
    "the server wants other credentials: write them into the URL, rtsp://USER:PASSWORD@HOST/..."
)


class NameNotFound(Exception):
    """The URL leads to no server; FFmpeg calls a name without address an input/output error."""


def open_rtsp(url: str, *, timeout_s: float) -> InputContainer:
    """Connect; blocks for as long as that takes.

    Args:
        url: `rtsp://` or `rtsps://`.
        timeout_s: for the connection, and for each read from it.

    Raises:
        NameNotFound: the server's name does not resolve, or host or port cannot be read.
        av.FFmpegError: there is no connection; `describe` has words for it.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        # From nothing: the error's words may hold a password.
        raise NameNotFound("the URL's host or port cannot be read") from None
    try:
        socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise NameNotFound(f"{parts.hostname} is no host name") from error
    except OSError as error:
        raise NameNotFound(f"{parts.hostname}: {error.strerror}") from error
    return av.open(url, format="rtsp", options=_OPTIONS, timeout=(timeout_s, timeout_s))


def describe(
    error: av.FFmpegError, *, url: str, came: bool, silent_s: float, timeout_s: float
) -> str:
    """What has gone wrong.

    Args:
        error: of FFmpeg.
        url: that was opened.
        came: whether any frame has come.
        silent_s: since the last one, or since the attempt began.
        timeout_s: as it was opened with.
    """
    # FFmpeg says anything where it was interrupted; its words are what they are otherwise.
    if isinstance(error, av.error.ExitError) or silent_s >= timeout_s:
        what = "nothing came" if came else f"no answer from {host_of(url)}"
        return f"{what} within {timeout_s:.0f} s"
    match error:
        case av.error.HTTPUnauthorizedError():
            return _UNAUTHORIZED
        case av.error.HTTPNotFoundError():
            return f"{host_of(url)} has no such stream: check the URL's path"
        case av.error.ConnectionRefusedError():
            return f"{host_of(url)} refuses connections: check host and port"
        case _:
            return f"{host_of(url)}: {error.strerror}"


def host_of(url: str) -> str:
    """`host:port` of a URL that `open_rtsp` could read."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or _PORTS[parts.scheme]}"
