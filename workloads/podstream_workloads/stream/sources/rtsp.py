"""Pulls the video of a camera or server by RTSP, and comes back when it was lost."""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import av
from av.video.stream import VideoStream

from podstream_core.api import Stream, StreamRtsp
from podstream_workloads.media.rtsp import NameNotFound, describe, host_of, open_rtsp
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
        logger.info("RTSP connection to %s", host_of(rtsp.url))
        report(Link(connected=True, codec=video.name, width=video.width, height=video.height))

    scaler = Scaler(spec.width, spec.height)
    pause = first_pause_s
    while True:
        try:
            for item in _frames(rtsp, scaler, on_open=opened):
                if not outlet.put(item.frame, size=item.size):
                    return
                pause = first_pause_s
            message = f"{host_of(rtsp.url)} has ended the stream"
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
    limit = float(rtsp.timeout_seconds)
    begun, came = time.monotonic(), False
    try:
        with open_rtsp(rtsp.url, timeout_s=limit) as server:
            on_open(video_of(server))
            for item in frames_of(server, scaler):
                came = True
                yield item
                begun = time.monotonic()
    except NameNotFound as error:
        raise SourceError(str(error)) from error
    except av.FFmpegError as error:
        silent_s = time.monotonic() - begun
        words = describe(error, url=rtsp.url, came=came, silent_s=silent_s, timeout_s=limit)
        raise SourceError(words) from error
