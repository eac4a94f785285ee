"""Flags and environment of `podstream-client`; a flag that is given always wins."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from podstream_core.api import Circle, Estimator
from podstream_core.logs import LogFormat
from podstream_workloads.circle.estimators import Point

_EPILOG = """examples:
  # a session of the cluster, with the token from its Secret
  podstream-client --url http://127.0.0.1:8080/s/default/ball/whep --token-file token
  # the same in a window, with the estimate's ring over the video
  podstream-client --url URL --token-file token --display
  # ten seconds, figures as JSON
  podstream-client --url URL --duration 10 --json
  # publish a file, or a camera, to a session with spec.circle.source Upload
  podstream-client --url http://127.0.0.1:8080/s/default/eye/whip --upload ball.mp4
  podstream-client --url URL --upload /dev/video0 --upload-format v4l2
  # the original's estimator
  podstream-client --url URL --estimator hough --dp 1.5 --min-dist 100

environment: PODSTREAM_CLIENT_URL, PODSTREAM_CLIENT_TOKEN, PODSTREAM_CLIENT_SPEC (JSON of a
session's spec.circle, whose estimator and frameCode are used)
exit codes: 0 played to the end, 1 refused or failed, 2 wrong usage
"""

_METHODS: Final = {"discfit": "DiscFit", "hough": "Hough", "moments": "Moments"}


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """What to play and how."""

    url: str
    token: str | None
    estimator: Estimator
    frame_code: bool
    """Read the number that is coded in the picture and send it along."""
    frames: int
    """Estimates after which the client leaves; 0: until the session ends."""
    duration_s: float
    """Seconds after which the client leaves; 0: until the session ends."""
    connect_timeout_s: float
    offset: Point
    """Test aid: added to every estimate, pixels."""
    drop_first: int
    """Test aid: decoded frames that are thrown away at the start."""
    join_late_s: float
    """Test aid: seconds between the connection and the first frame that is looked at."""
    upload: str | None
    """Video to publish instead of playing: a file, a URL or a device."""
    upload_format: str | None
    """FFmpeg's name of its input format, where the place does not say."""
    loop: bool
    """Begin the video anew at its end."""
    display: bool
    """Show a window with the video and marks over it."""
    as_json: bool
    log_level: str
    log_format: LogFormat


def parse(arguments: Sequence[str] | None, *, environment: Mapping[str, str]) -> ClientOptions:
    """Read the command line; exits with 2 and the reason where it is not usable."""
    parser = _parser()
    given = parser.parse_args(arguments)
    url = given.url or environment.get("PODSTREAM_CLIENT_URL")
    if not url or not url.startswith(("http://", "https://")):
        parser.error("no WHEP or WHIP URL: give --url http://... or set PODSTREAM_CLIENT_URL")
    token = environment.get("PODSTREAM_CLIENT_TOKEN") or None
    try:
        if given.token_file:
            token = Path(given.token_file).read_text(encoding="ascii").strip()
        text = environment.get("PODSTREAM_CLIENT_SPEC")
        spec = msgspec.json.decode(text, type=Circle) if text else Circle()
        estimator = _estimator(given, spec.estimator)
    except (OSError, UnicodeDecodeError, msgspec.ValidationError, msgspec.DecodeError) as error:
        parser.error(str(error))
    if given.display and given.upload:
        parser.error("--display shows what is played, and --upload plays nothing")
    return ClientOptions(
        url=url,
        token=token,
        estimator=estimator,
        frame_code=given.frame_code or spec.frame_code,
        frames=given.frames,
        duration_s=given.duration,
        connect_timeout_s=given.connect_timeout,
        offset=given.offset,
        drop_first=given.drop_first,
        join_late_s=given.join_late,
        upload=given.upload,
        upload_format=given.upload_format,
        loop=given.loop,
        display=given.display,
        as_json=given.json,
        log_level=given.log_level or environment.get("PODSTREAM_LOG_LEVEL") or "info",
        log_format="json" if environment.get("PODSTREAM_LOG_FORMAT") == "json" else "text",
    )


def _estimator(given: argparse.Namespace, chosen: Estimator) -> Estimator:
    flags = {
        "method": chosen.method,
        "dp": chosen.dp if given.dp is None else given.dp,
        "minDist": chosen.min_dist if given.min_dist is None else given.min_dist,
    }
    if given.estimator:
        flags["method"] = _METHODS[given.estimator]
    return Estimator.from_body({**chosen.to_body(), **flags})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="podstream-client",
        description="Plays a session over WHEP, finds the ball in every frame and sends where it "
        "is back on the data channel. With --upload it is the other way round: the client sends "
        "the video (WHIP), the server says where the ball is.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--url", help="WHEP or WHIP URL, as in a session's status.endpoints")
    add("--token-file", help="file with the session's token")
    add("--estimator", choices=tuple(_METHODS), help="how to find the ball (discfit)")
    add("--dp", type=float, help="cv2.HoughCircles dp (6)")
    add("--min-dist", type=float, help="its minDist, pixels (8)")
    add("--frame-code", action="store_true", help="send the number coded in the picture along")
    add("--frames", type=_positive(int), default=0, help="leave after so many estimates")
    add("--duration", type=_positive(float), default=0.0, help="leave after so many seconds")
    add(
        "--connect-timeout",
        type=_positive(float),
        default=60.0,
        help="seconds to wait for a session that is busy or not there yet (60)",
    )
    add("--upload", metavar="FILE", help="publish a video (WHIP) instead of playing")
    add("--upload-format", metavar="NAME", help="FFmpeg input format of a device: v4l2, lavfi")
    add("--loop", action="store_true", help="begin the uploaded video anew at its end")
    add(
        "-d",
        "--display",
        action="store_true",
        help="a window with the video, where the ball was seen and, where the session tells it "
        "(spec.circle.tellTruth), where it truly was; needs podstream[desktop]",
    )
    add("--json", action="store_true", help="print one line of figures as JSON at the end")
    add("--log-level", help="debug, info, warning or error (info)")
    aids = parser.add_argument_group("test aids")
    aids.add_argument(
        "--offset", type=_point, default=(0.0, 0.0), metavar="X,Y", help="add to every estimate"
    )
    aids.add_argument(
        "--drop-first", type=_positive(int), default=0, metavar="N", help="ignore N frames"
    )
    aids.add_argument(
        "--join-late",
        type=_positive(float),
        default=0.0,
        metavar="S",
        help="throw away the packets of the first S seconds, as if the client had come later",
    )
    return parser


class _positive:  # noqa: N801 - argparse prints the name of the type
    """A number that is not negative."""

    def __init__(self, kind: type[int] | type[float]) -> None:
        self._kind = kind

    def __call__(self, text: str) -> float:
        value = self._kind(text)
        if not 0 <= value < float("inf"):
            raise argparse.ArgumentTypeError(f"must not be negative: {text}")
        return value


def _point(text: str) -> Point:
    try:
        x, y = (float(part) for part in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected X,Y in pixels, not {text!r}") from error
    return x, y
