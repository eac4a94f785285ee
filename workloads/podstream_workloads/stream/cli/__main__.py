"""`podstream-stream`; `--help` describes everything."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from enum import IntEnum
from pathlib import Path

from podstream_core.ports import LISTENERS
from podstream_workloads.stream.cli.push import Refused, push
from podstream_workloads.stream.cli.sources import SourceError, camera, video
from podstream_workloads.stream.cli.view import ViewError, frames_of, open_view, save, show
from podstream_workloads.stream.frames import Frame
from podstream_workloads.stream.pattern import pattern

_PORT = next(item.port for item in LISTENERS if item.name == "frames")
_MAX_FPS = 1000
_EXAMPLES = """examples:
  podstream-stream push --host 127.0.0.1 --device 0            a webcam, 640x480
  podstream-stream push --host 127.0.0.1 --file game.mp4       a video, scaled
  podstream-stream push --host 127.0.0.1 --pattern --frames 300 --size 320x240
  podstream-stream view http://127.0.0.1:8080/s/default/camera --out frames --frames 100
  podstream-stream view http://127.0.0.1:8080/s/default/camera    a window; needs desktop OpenCV

exit codes: 0 done; 1 no such source; 2 wrong arguments; 3 not connected, refused, or the session
ended the connection; 130 interrupted
"""


class Exit(IntEnum):
    """Exit codes."""

    DONE = 0
    NO_SOURCE = 1
    REFUSED = 3
    INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code is one of `Exit`."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except KeyboardInterrupt:
        return Exit.INTERRUPTED


def _push(options: argparse.Namespace) -> Exit:
    width, height = options.size
    try:
        sent = push(
            _source(options, width, height),
            host=options.host,
            port=options.port,
            fps=options.fps,
            count=options.frames,
            quiet=options.quiet,
        )
    except SourceError as error:
        return _fail(error, Exit.NO_SOURCE)
    except Refused as error:
        return _fail(error, Exit.REFUSED)
    print(f"sent {sent} frames of {width}x{height}")  # noqa: T201 - the command's result
    return Exit.DONE


def _view(options: argparse.Namespace) -> Exit:
    width, height = options.size
    try:
        with open_view(options.url, token=options.token) as response:
            frames = frames_of(response, width, height)
            if options.out is not None:
                seen = save(frames, options.out, count=options.frames)
            else:
                seen = show(frames, count=options.frames)
    except ViewError as error:
        return _fail(error, Exit.REFUSED)
    print(f"saw {seen} frames of {width}x{height}")  # noqa: T201 - the command's result
    return Exit.DONE


def _source(options: argparse.Namespace, width: int, height: int) -> Iterator[Frame]:
    if options.file is not None:
        return video(options.file, width, height)
    if options.device is not None:
        return camera(options.device, width, height)
    return pattern(width, height)


def _fail(error: Exception, code: Exit) -> Exit:
    print(f"podstream-stream: {error}", file=sys.stderr)  # noqa: T201 - words to its user
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "podstream-stream",
        description="Client of podstream's stream workload.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    _add_push(commands)
    _add_view(commands)
    return parser


def _add_push(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    pushing = commands.add_parser(
        "push",
        help="push raw BGR frames over TCP",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    pushing.add_argument("--host", required=True, help="where the router is reached")
    pushing.add_argument("--port", type=int, default=_PORT, help=f"its listener (default {_PORT})")
    source = pushing.add_mutually_exclusive_group(required=True)
    source.add_argument("--device", type=int, metavar="N", help="camera of this machine")
    source.add_argument("--file", type=Path, metavar="F", help="video file")
    source.add_argument("--pattern", action="store_true", help="a moving test pattern")
    pushing.add_argument(
        "--size",
        type=_size,
        default=(640, 480),
        metavar="WxH",
        help="as in spec.stream (default 640x480)",
    )
    pushing.add_argument("--fps", type=_rate, default=30.0, help="0: as fast as it goes (30)")
    pushing.add_argument("--frames", type=_count, default=0, help="at most so many (0: no limit)")
    pushing.add_argument("--quiet", action="store_true", help="no progress on stderr")
    pushing.set_defaults(run=_push)


def _add_view(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    viewing = commands.add_parser(
        "view",
        help="look on: into files, or into a window",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    viewing.add_argument("url", help="of the session: http://HOST:8080/s/NAMESPACE/NAME")
    viewing.add_argument("--token", help="the session's, or its view token, unless it is Public")
    viewing.add_argument("--out", type=Path, metavar="DIR", help="write PNG files, no window")
    viewing.add_argument(
        "--size",
        type=_size,
        default=(640, 480),
        metavar="WxH",
        help="as in spec.stream (default 640x480)",
    )
    viewing.add_argument("--frames", type=_count, default=0, help="at most so many (0: no limit)")
    viewing.set_defaults(run=_view)


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT, such as 640x480")
    return int(width), int(height)


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    if not 0 <= rate <= _MAX_FPS:
        raise argparse.ArgumentTypeError(f"{text!r} is no rate from 0 to {_MAX_FPS}")
    return rate


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of frames")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
