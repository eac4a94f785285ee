"""Runs the source of a session whose pod makes or fetches its frames itself."""

import functools
from collections.abc import Callable
from pathlib import Path

import msgspec

from podstream_core import names
from podstream_core.api import SourceType, Stream, StreamSourceResults
from podstream_workloads.stream.sources.file import find_file, play
from podstream_workloads.stream.sources.outlet import OnFrame, run_in_thread
from podstream_workloads.stream.sources.rtsp import Link, pull
from podstream_workloads.stream.synthetic import draw


async def make_frames(
    spec: Stream, *, volumes: Path, on_frame: OnFrame, on_link: Callable[[Link], None]
) -> None:
    """Make frames until the source ends or `on_frame` wants no more.

    Args:
        spec: says which source, and how large frames are.
        volumes: where the session's volumes lie.
        on_frame: gets each frame on the event loop.
        on_link: told how the connection to a server stands, on the event loop.

    Raises:
        SourceError: it has nothing to give, and never will.
    """
    source = spec.source
    if source.type is SourceType.FILE and source.file is not None:
        path = find_file(source.file, volume=volumes / names.SOURCE)
        play_it = functools.partial(play, path, spec=spec, loop=source.file.loop)
        await run_in_thread(play_it, on_frame=on_frame, name="file")
    elif source.type is SourceType.RTSP and source.rtsp is not None:
        pull_it = functools.partial(pull, source.rtsp, spec=spec, on_link=on_link)
        await run_in_thread(pull_it, on_frame=on_frame, name="rtsp")
    else:
        await draw(
            spec.width, spec.height, fps=source.fps, on_frame=lambda frame: on_frame(frame, 0)
        )


def follow_link(before: StreamSourceResults, link: Link) -> StreamSourceResults:
    """The figures after a change of the connection; what is known of the video stays known."""
    return msgspec.structs.replace(
        before,
        connected=link.connected,
        connections=before.connections + link.connected,
        codec=link.codec or before.codec,
        width=link.width or before.width,
        height=link.height or before.height,
        message=link.message,
    )
