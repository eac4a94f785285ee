"""What is said on the data channel: tab-separated text, one estimate a message.

    x <TAB> y <TAB> pts                          the original's form, decimal integers;
                                                 -1 and -1 before it has seen a ball
    x <TAB> y <TAB> pts <TAB> rtpTimestamp       with the frame's RTP timestamp; decimals allowed
    - <TAB> - <TAB> pts <TAB> rtpTimestamp       the frame was seen and shows no ball
    ... <TAB> rtpTimestamp <TAB> #number         with the number that is coded in the picture, 0 to
                                                 2^16 - 1 (`spec.circle.frameCode`)
    ... <TAB> ~microseconds                      with the time that looking at the frame took: the
                                                 server sends no more frames than are looked at
    ... <TAB> oradius                            with the radius of what was seen, pixels
    ping                                         heartbeat, every 2 s

`pts` counts from the first frame that the client received, so it names a frame only while nothing
was lost before that one; `rtpTimestamp` (0 to 2³² - 1) always does. Everything else (`hi`, junk) is
ignored.

A server whose spec says `tellTruth` answers an estimate that it could match, once that counts:

    = <TAB> x <TAB> y <TAB> radius <TAB> pts [<TAB> rtpTimestamp]    where the ball truly was in the
                                                                     frame that the estimate names
"""

import math
import re
from dataclasses import dataclass

from podstream_workloads.circle.framecode import MODULUS

LABEL = "RTCchannel"
MAX_BUFFERED = 64 * 1024
"""Bytes that wait on the channel: with more of them a sender drops what it has to say."""
_MAX_CHARS = 128
_EXTRAS = re.compile(
    r"(?:\t#(?P<code>\d{1,5}))?(?:\t~(?P<job>\d{1,9}))?(?:\to(?P<radius>\d{1,5}(?:\.\d{1,3})?))?\Z",
    re.ASCII,
)
_TRUTH = "="
_MOST_JOB_US = 999_999_999
_MAX_COORDINATE = 100_000.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """Where a client saw the ball in a frame."""

    position: tuple[float, float] | None
    """Pixels; `None`: the client saw no ball."""
    pts: int
    rtp_timestamp: int | None
    frame_code: int | None = None
    """What the code in the picture says, where the client read one."""
    job_s: float | None = None
    """Seconds that the client spent on this frame, where it says so."""
    radius: float | None = None
    """Pixels, where the one who has looked says so."""


@dataclass(frozen=True, slots=True)
class ToldTruth:
    """Where the ball truly was in a frame that was answered."""

    position: tuple[float, float]
    """Pixels."""
    radius: float
    pts: int
    """As in the estimate, and `rtp_timestamp` too."""
    rtp_timestamp: int | None


def parse_estimate(message: object) -> Estimate | None:
    """Read a message; `None` where it is no estimate."""
    if not isinstance(message, str) or len(message) > _MAX_CHARS:
        return None
    extras = _EXTRAS.search(message)
    assert extras is not None, "every part is optional"
    fields = message[: extras.start()].split("\t")
    frame_code = None if extras["code"] is None else int(extras["code"])
    if frame_code is not None and frame_code >= MODULUS:
        return None
    job_s = None if extras["job"] is None else int(extras["job"]) / 1e6
    if len(fields) not in (3, 4):
        return None
    try:
        pts = int(fields[2])
        rtp_timestamp = int(fields[3]) if fields[3:] else None
        is_miss = fields[:2] in (["-", "-"], ["-1", "-1"])
        position = None if is_miss else (float(fields[0]), float(fields[1]))
    except ValueError:
        return None
    if position is not None and not _are_places(*position):
        return None
    if rtp_timestamp is not None and not 0 <= rtp_timestamp < 1 << 32:
        return None
    radius = None if extras["radius"] is None else float(extras["radius"])
    return Estimate(position, pts, rtp_timestamp, frame_code, job_s, radius)


def format_estimate(estimate: Estimate) -> str:
    """Write a message with three decimals a coordinate."""
    seen = estimate.position
    place = "-\t-" if seen is None else f"{seen[0]:.3f}\t{seen[1]:.3f}"
    tail = "" if estimate.rtp_timestamp is None else f"\t{estimate.rtp_timestamp}"
    if tail and estimate.frame_code is not None:
        tail += f"\t#{estimate.frame_code}"
    if tail and estimate.job_s is not None:
        tail += f"\t~{min(round(estimate.job_s * 1e6), _MOST_JOB_US)}"
    if tail and seen is not None and estimate.radius is not None:
        tail += f"\to{min(estimate.radius, _MAX_COORDINATE - 1):.3f}"
    return f"{place}\t{estimate.pts}{tail}"


def format_truth(truth: ToldTruth) -> str:
    """Write a truth with three decimals a number."""
    tail = "" if truth.rtp_timestamp is None else f"\t{truth.rtp_timestamp}"
    x, y = truth.position
    return f"{_TRUTH}\t{x:.3f}\t{y:.3f}\t{truth.radius:.3f}\t{truth.pts}{tail}"


def parse_truth(message: object) -> ToldTruth | None:
    """Read a message; `None` where it is no truth."""
    if not isinstance(message, str) or len(message) > _MAX_CHARS:
        return None
    fields = message.split("\t")
    if len(fields) not in (5, 6) or fields[0] != _TRUTH:
        return None
    try:
        x, y, radius = (float(field) for field in fields[1:4])
        pts = int(fields[4])
        rtp_timestamp = int(fields[5]) if fields[5:] else None
    except ValueError:
        return None
    return ToldTruth((x, y), radius, pts, rtp_timestamp) if _are_places(x, y, radius) else None


def _are_places(*values: float) -> bool:
    return all(math.isfinite(value) and abs(value) <= _MAX_COORDINATE for value in values)
