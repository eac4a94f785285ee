"""The flags of `podstream-client`."""

import argparse
import math
from pathlib import Path
from typing import Final

_EXAMPLES: Final = """\
examples:
  # play a session until its server ends it
  export PODSTREAM_CLIENT_TOKEN=$(kubectl get secret ball-access -o jsonpath='{.data.token}' |
    base64 -d)
  podstream-client --url http://127.0.0.1:8080/s/default/ball/whep

  # 300 frames, with OpenCV's circle detection, figures as JSON
  podstream-client --url "$URL" --token-file token --frames 300 --estimator hough --dp 6 --json

  # test aids: a known error of (3, -4) px, and a client that misses the start
  podstream-client --url "$URL" --offset=3,-4 --join-late 2

environment (a flag wins):
  PODSTREAM_CLIENT_URL    as --url
  PODSTREAM_CLIENT_TOKEN  the bearer token; none for a public session
  PODSTREAM_CLIENT_SPEC   JSON of the session's spec.circle, for its estimator
  PODSTREAM_LOG_LEVEL     as --log-level
  PODSTREAM_LOG_FORMAT    text or json

exit status:
  0  the server ended the session, or --frames or --duration was reached, or a signal came
  1  the session refused or failed; the last line of the log names the cause
  2  the arguments cannot be used
"""


def make_parser() -> argparse.ArgumentParser:
    """The parser; values it accepts are in range."""
    parser = argparse.ArgumentParser(
        prog="podstream-client",
        description="Play a StreamSession's ball over WHEP and report where it is seen.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--url", metavar="URL", help="WHEP endpoint: status.endpoints of the session")
    add("--token-file", type=Path, metavar="FILE", help="file with the session's token")
    add(
        "--connect-timeout",
        type=_positive,
        default=60.0,
        metavar="SECONDS",
        help="how long the session may take to accept the connection (%(default)g)",
    )
    limits = parser.add_argument_group("when to end (the server's end always counts)")
    limits.add_argument(
        "--frames", type=_count, metavar="N", help="after N frames with a report, ball or no ball"
    )
    limits.add_argument(
        "--duration", type=_positive, metavar="SECONDS", help="so long after connecting"
    )
    seeing = parser.add_argument_group("how to find the ball")
    seeing.add_argument(
        "--estimator",
        choices=("moments", "hough"),
        help="centroid of what differs from the background (moments, the default), or OpenCV's "
        "circle detection",
    )
    seeing.add_argument("--dp", type=_finite, help="hough: inverse accumulator resolution (6)")
    seeing.add_argument(
        "--min-dist", type=_finite, metavar="PIXELS", help="hough: distance between circles (8)"
    )
    aids = parser.add_argument_group("test aids")
    aids.add_argument(
        "--offset",
        type=_offset,
        default=(0.0, 0.0),
        metavar="X,Y",
        help="pixels added to every estimate; write --offset=-1,2 where X is negative",
    )
    aids.add_argument(
        "--drop-first",
        type=_count_from_zero,
        default=0,
        metavar="N",
        help="do not look at the first N decoded frames",
    )
    aids.add_argument(
        "--join-late",
        type=_not_negative,
        default=0.0,
        metavar="SECONDS",
        help="connect, but throw away all video packets for so long; decoding begins afterwards, "
        "with the next key frame",
    )
    output = parser.add_argument_group("output")
    output.add_argument("--json", action="store_true", help="one line of figures on stdout")
    output.add_argument(
        "--log-level",
        type=str.upper,
        choices=("DEBUG", "INFO", "WARNING", "ERROR"),
        help="log on stderr (INFO)",
    )
    return parser


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text} is not a finite number")
    return value


def _positive(text: str) -> float:
    value = _finite(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not more than 0")
    return value


def _not_negative(text: str) -> float:
    value = _finite(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is less than 0")
    return value


def _count_from_zero(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is less than 0")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return value


def _offset(text: str) -> tuple[float, float]:
    parts = text.split(",")
    if len(parts) != 2:  # noqa: PLR2004 - X and Y
        raise argparse.ArgumentTypeError(f"{text!r} is not X,Y, for example 3,-4")
    return _finite(parts[0]), _finite(parts[1])
