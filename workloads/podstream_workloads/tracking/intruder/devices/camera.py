"""`podstream-camera`: sends a video's frames to an edge, a few a second, as a camera would."""

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import socketio

from podstream_workloads.tracking.intruder.devices.flags import add_common, read_token
from podstream_workloads.tracking.intruder.devices.link import EdgeLink, EdgeUnreachable
from podstream_workloads.tracking.intruder.devices.logs import set_up
from podstream_workloads.tracking.intruder.devices.video import Video, VideoUnopenable
from podstream_workloads.tracking.intruder.pictures import encode_jpeg

logger = logging.getLogger(__name__)

_TRIES: Final = 3
"""Times a frame is sent before the next one takes its place."""
_LAST_S: Final = 5.0
"""Seconds to wait at the end for the edge to have worked off what was sent."""
_EXAMPLES: Final = """\
examples:
  podstream-camera video1.avi --edge http://127.0.0.1:5001
  podstream-camera rtsp://camera.example/main --edge http://edge:5001 --send-fps 2
  podstream-camera gate.mp4 --edge http://router:8085 --token-file token --once
  CAMERA=video1.avi EDGE_URL=http://edge:5001 INITIAL_DELAY=20 podstream-camera

exit codes: 0 the video ended (--once) or Ctrl-C, 1 the video cannot be opened,
2 wrong flags, 3 no edge within --tries
"""


@dataclass(frozen=True, slots=True)
class CameraOptions:
    """What the command line and the environment say."""

    camera: str
    edge: str
    initial_delay_s: float
    send_fps: float
    once: bool
    quality: int
    tries: int
    token: str
    log_dir: Path | None
    verbose: bool


def parse(arguments: Sequence[str], *, environment: Mapping[str, str]) -> CameraOptions:
    """The options; wrong ones end the process with code 2."""
    parser = argparse.ArgumentParser(
        prog="podstream-camera",
        description="Send a video's frames to an edge by Socket.IO, as a camera would.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "camera",
        nargs="?",
        default=environment.get("CAMERA"),
        help="file, URL or device number; a bare name is also looked for in camera_set/ (CAMERA)",
    )
    parser.add_argument(
        "--initial-delay",
        type=_not_negative,
        metavar="S",
        default=environment.get("INITIAL_DELAY", "0"),
        help="seconds to wait before the first try (INITIAL_DELAY; 0)",
    )
    parser.add_argument(
        "--send-fps",
        type=_positive,
        metavar="N",
        default=environment.get("SEND_FPS", "1"),
        help="frames a second that are sent (SEND_FPS; 1)",
    )
    parser.add_argument(
        "--once", action="store_true", help="end with the video instead of beginning again"
    )
    parser.add_argument(
        "--quality", type=int, default=90, choices=range(1, 101), metavar="1..100",
        help="of the JPEG frames (90)",
    )  # fmt: skip
    add_common(parser, environment=environment)
    given = parser.parse_args(arguments)
    if not given.camera:
        parser.error("which camera? give a file or set CAMERA")
    return CameraOptions(
        camera=given.camera,
        edge=given.edge,
        initial_delay_s=given.initial_delay,
        send_fps=given.send_fps,
        once=given.once,
        quality=given.quality,
        tries=given.tries,
        token=read_token(given, parser),
        log_dir=given.log_dir,
        verbose=given.verbose,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the camera; the exit code is one of those in `--help`."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parse(given, environment=os.environ)
    set_up(folder=options.log_dir, verbose=options.verbose)
    try:
        asyncio.run(run(options))
    except VideoUnopenable as error:
        logger.error("%s", error)
        return 1
    except EdgeUnreachable as error:
        logger.error("No edge: %s", error)
        return 3
    except KeyboardInterrupt:
        pass
    return 0


async def run(options: CameraOptions) -> None:
    """Send frames until the video ends for good.

    Raises:
        VideoUnopenable: at the start, or when it is to begin again.
        EdgeUnreachable: no tries are left.
    """
    video = await asyncio.to_thread(Video, options.camera)
    link = EdgeLink(options.edge, token=options.token, tries=options.tries)
    outstanding: set[str] = set()
    worked_off = asyncio.Event()

    async def processed(message: Any = None, *_: Any) -> None:
        if isinstance(message, dict):
            outstanding.discard(str(message.get("frame_name")))
            worked_off.set()

    async def refused(message: Any = None, *_: Any) -> None:
        if isinstance(message, dict):
            logger.warning("Refused by the edge: %s", message)
        await processed(message)

    link.client.on("frame_processed", processed)
    link.client.on("frame_refused", refused)
    try:
        await asyncio.sleep(options.initial_delay_s)
        await link.connect()
        await _send_all(options, video=video, link=link, outstanding=outstanding)
        # An existing edge says nothing about frames: then this ends with the time.
        try:
            async with asyncio.timeout(_LAST_S):
                while outstanding and link.connected:
                    worked_off.clear()
                    await worked_off.wait()
        except TimeoutError:
            logger.info("%d frames were not confirmed", len(outstanding))
    finally:
        await link.close()
        await asyncio.to_thread(video.close)


async def _send_all(
    options: CameraOptions, *, video: Video, link: EdgeLink, outstanding: set[str]
) -> None:
    loop = asyncio.get_running_loop()
    period = 1 / options.send_fps
    between = max(0, round(video.fps / options.send_fps) - 1)
    due = loop.time()
    sent = 0
    while True:
        frame = await asyncio.to_thread(video.read)
        if frame is None:
            logger.info("End of the video, %d frames sent", sent)
            if options.once or not sent:
                return
            await asyncio.to_thread(video.rewind)
            sent = 0
            continue
        name = f"{video.stem}_frame{video.number}.jpg"
        data = await asyncio.to_thread(encode_jpeg, frame, quality=options.quality)
        if len(outstanding) > _LAST_S * options.send_fps + 64:
            outstanding.clear()  # an edge that confirms nothing
        outstanding.add(name)
        await _send(link, {"frame_name": name, "data": data})
        sent += 1
        due = max(due + period, loop.time() - period)
        if video.live:
            await asyncio.to_thread(video.skip_for, max(0.0, due - loop.time()))
        else:
            await asyncio.to_thread(video.skip, between)
            await asyncio.sleep(max(0.0, due - loop.time()))


async def _send(link: EdgeLink, message: dict[str, Any]) -> None:
    for _ in range(_TRIES):
        try:
            if not link.connected:
                await link.connect()
            await link.client.emit("frame_event", message)
        except (socketio.exceptions.SocketIOError, OSError) as error:
            logger.warning("Frame %s was not sent: %s", message["frame_name"], error)
            await asyncio.sleep(1)
        else:
            logger.info("Sent frame: %s (%d bytes)", message["frame_name"], len(message["data"]))
            return
    logger.error("Frame %s is given up", message["frame_name"])


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value <= 1000:  # noqa: PLR2004 - no camera is faster
        raise argparse.ArgumentTypeError("must lie between 0 and 1000")
    return value


def _not_negative(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError("must not be negative")
    return value


if __name__ == "__main__":
    sys.exit(main())
