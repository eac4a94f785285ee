"""`podstream-client`: plays a session over WHEP, or publishes to one over WHIP."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from podstream_core.logs import setup_logging
from podstream_workloads.circle.estimators import make_estimator
from podstream_workloads.circle.standalone.display import (
    NoDisplay,
    Window,
    WindowGone,
    require_display,
)
from podstream_workloads.client.errors import ClientError, SessionOver
from podstream_workloads.client.options import ClientOptions, parse
from podstream_workloads.client.player import Player
from podstream_workloads.client.publisher import Publisher
from podstream_workloads.client.showing import Showing
from podstream_workloads.client.summary import Summary
from podstream_workloads.client.video import VideoSource
from podstream_workloads.client.whep import WhepClient
from podstream_workloads.media import aiortc_private
from podstream_workloads.media.logs import quiet_libraries

logger = logging.getLogger(__name__)

_RECONNECT_S = 10.0
"""How long a client whose connection was lost tries to get back into its session."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Play; 0 to the end, 1 refused or failed, 2 wrong usage."""
    options = parse(arguments, environment=os.environ)
    try:
        setup_logging(level=options.log_level, fmt=options.log_format, component="client")
    except ValueError as error:
        print(error, file=sys.stderr)  # noqa: T201 - a program's words to its user
        return 2
    summary = Summary()
    try:
        if options.display:
            require_display(os.environ)
        asyncio.run(_run(options, summary))
    except NoDisplay as error:
        print(error, file=sys.stderr)  # noqa: T201 - as above
        return 2
    except ClientError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - as above
        return 1
    finally:
        if options.as_json:
            print(json.dumps(summary.to_json()), flush=True)  # noqa: T201 - the result
    return 0


async def _run(options: ClientOptions, summary: Summary) -> None:
    """Play until the end, a limit or a signal."""
    quiet_libraries()
    aiortc_private.install_marker_release()
    aiortc_private.keep_history()
    playing = asyncio.create_task(_show_and_play(options, summary))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, playing.cancel)
    limit = options.duration_s or None
    with contextlib.suppress(asyncio.CancelledError):
        try:
            async with asyncio.timeout(limit):
                await playing
        except TimeoutError as error:
            if not summary.connections:
                raise ClientError(f"not connected within {options.duration_s} s") from error
            logger.info("played for %s s", options.duration_s)
        except SessionOver as over:
            if not summary.connections:
                raise ClientError(f"the session has ended already: {over}") from over
            logger.info("the session has ended: %s", over)


async def _show_and_play(options: ClientOptions, summary: Summary) -> None:
    """Play, in a window where one is wanted; closing it is a way to leave."""
    if not options.display:
        await _play(options, summary, showing=None)
        return
    window = Window("podstream")
    await window.open()
    playing = asyncio.ensure_future(_play(options, summary, showing=Showing(window)))
    shown = asyncio.ensure_future(window.run())
    try:
        await asyncio.wait({playing, shown}, return_when=asyncio.FIRST_COMPLETED)
        if playing.done():
            playing.result()
    finally:
        for task in (playing, shown):
            task.cancel()
        await asyncio.wait({playing, shown})
        await window.close()
    if not playing.cancelled():
        return
    with contextlib.suppress(asyncio.CancelledError):
        try:
            shown.result()
        except WindowGone as gone:
            logger.info("%s", gone)


async def _play(options: ClientOptions, summary: Summary, *, showing: Showing | None) -> None:
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="frames")
    connect_timeout_s = options.connect_timeout_s
    source = _open_video(options)
    try:
        async with WhepClient(options.url, token=options.token) as signalling:
            while True:
                player: Player | Publisher
                if source is None:
                    player = Player(
                        options,
                        signalling=signalling,
                        estimator=make_estimator(options.estimator),
                        pool=pool,
                        summary=summary,
                        showing=showing,
                    )
                else:
                    player = Publisher(
                        options, signalling=signalling, source=source, pool=pool, summary=summary
                    )
                try:
                    if await player.play(connect_timeout_s=connect_timeout_s):
                        return
                finally:
                    await player.close()
                logger.warning("the connection was lost; trying to come back")
                connect_timeout_s = _RECONNECT_S
    finally:
        pool.shutdown(wait=source is not None, cancel_futures=True)
        if source is not None:
            source.close()


def _open_video(options: ClientOptions) -> VideoSource | None:
    if options.upload is None:
        return None
    return VideoSource(options.upload, form=options.upload_format, loop=options.loop)


if __name__ == "__main__":
    sys.exit(main())
