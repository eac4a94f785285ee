"""Pulls the video of a camera or server by RTSP (RFC 2326), and comes back when it was lost.

Everything goes over the one TCP connection (interleaved, section 10.12): it needs no ports of its
own, passes NetworkPolicy, and loses no packets.
"""

import logging
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import av
from av.video.stream import VideoStream

from podstream_core.api import Stream, StreamRtsp
from podstream_workloads.stream.sources.decoding import (
    Decoded,
    Scaler,
    SourceError,
    frames_of,
    video_of,
)
from podstream_workloads.stream.sources.outlet import Outlet

logger = logging.getLogger(__name__)

FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 30.0
_MOST_WORDS: Final = 100
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


@dataclass(frozen=True, slots=True)
class Link:
    """Where the connection to the server stands."""

    connected: bool
    codec: str | None = None
    width: int | None = None
    """Pixels, as the server sends them."""
    height: int | None = None
    message: str | None = None
    """Why there is none."""


def pull(
    rtsp: StreamRtsp,
    outlet: Outlet,
    *,
    spec: Stream,
    on_link: Callable[[Link], None],
    first_pause_s: float = FIRST_PAUSE_S,
) -> None:
    """Hand over frames as they come until the outlet wants no more; connect again when lost.

    Pauses between two attempts double up to 30 s, and begin anew with each frame that came.

    Args:
        rtsp: the server.
        outlet: where frames go.
        spec: the size of frames.
        on_link: told of every change, on the event loop.
        first_pause_s: after a first failure.
    """

    def report(link: Link) -> None:
        outlet.tell(lambda: on_link(link))

    def opened(video: VideoStream) -> None:
        logger.info("RTSP connection to %s", _host(rtsp.url))
        report(Link(connected=True, codec=video.name, width=video.width, height=video.height))

    scaler = Scaler(spec.width, spec.height)
    pause = first_pause_s
    while True:
        try:
            for item in _frames(rtsp, scaler, on_open=opened):
                if not outlet.put(item.frame, size=item.size):
                    return
                pause = first_pause_s
            message = f"{_host(rtsp.url)} has ended the stream"
        except SourceError as error:
            message = str(error)
        logger.warning("no RTSP connection: %s", message, extra={"again_in_s": pause})
        report(Link(connected=False, message=message[:_MOST_WORDS]))
        if not outlet.sleep(time.monotonic() + pause):
            return
        pause = min(2 * pause, _LONGEST_PAUSE_S)


def _frames(
    rtsp: StreamRtsp, scaler: Scaler, *, on_open: Callable[[VideoStream], None]
) -> Iterator[Decoded]:
    """Connect, and give what comes.

    Raises:
        SourceError: there is no connection, or it was lost.
    """
    _check_name(rtsp.url)
    limit = float(rtsp.timeout_seconds)
    begun, came = time.monotonic(), False
    try:
        with av.open(rtsp.url, format="rtsp", options=_OPTIONS, timeout=(limit, limit)) as server:
            on_open(video_of(server))
            for item in frames_of(server, scaler):
                came = True
                yield item
                begun = time.monotonic()
    except av.FFmpegError as error:
        # FFmpeg says anything where it was interrupted; its words are what they are otherwise.
        if isinstance(error, av.error.ExitError) or time.monotonic() - begun >= limit:
            what = "nothing came" if came else f"no answer from {_host(rtsp.url)}"
            raise SourceError(f"{what} within {limit:.0f} s") from error
        raise SourceError(_words(error, url=rtsp.url)) from error


def _words(error: av.FFmpegError, *, url: str) -> str:
    """What has gone wrong. Never the URL itself, which may hold a password."""
    match error:
        case av.error.HTTPUnauthorizedError():
            return _UNAUTHORIZED
        case av.error.HTTPNotFoundError():
            return f"{_host(url)} has no such stream: check the URL's path"
        case av.error.ConnectionRefusedError():
            return f"{_host(url)} refuses connections: check host and port"
        case _:
            return f"{_host(url)}: {error.strerror}"


def _check_name(url: str) -> None:
    """FFmpeg calls a name that does not resolve an input/output error.

    Raises:
        SourceError: it does not resolve.
    """
    parts = urlsplit(url)
    try:
        socket.getaddrinfo(parts.hostname, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise SourceError(f"{parts.hostname}: {error.strerror}") from error


def _host(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or _PORTS[parts.scheme]}"
