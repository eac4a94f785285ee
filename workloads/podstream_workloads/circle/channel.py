"""What clients say on the data channel: tab-separated text, one estimate a message.

    x <TAB> y <TAB> pts                          the original's form, decimal integers;
                                                 -1 and -1 before it has seen a ball
    x <TAB> y <TAB> pts <TAB> rtpTimestamp       with the frame's RTP timestamp; decimals allowed
    - <TAB> - <TAB> pts <TAB> rtpTimestamp       the frame was seen and shows no ball
    ... <TAB> rtpTimestamp <TAB> #number         with the number that is coded in the picture, 0 to
                                                 2^16 - 1 (`spec.circle.frameCode`)
    ... <TAB> ~microseconds                      with the time that looking at the frame took: the
                                                 server sends no more frames than are looked at
    ping                                         heartbeat, every 2 s

`pts` counts from the first frame that the client received, so it names a frame only while nothing
was lost before that one; `rtpTimestamp` (0 to 2³² - 1) always does. Everything else (`hi`, junk) is
ignored.
"""

import math
import re
from dataclasses import dataclass

from podstream_workloads.circle.framecode import MODULUS

LABEL = "RTCchannel"
MAX_BUFFERED = 64 * 1024
"""Bytes that wait on the channel: with more of them a sender drops what it has to say."""
_MAX_CHARS = 128
_EXTRAS = re.compile(r"(?:\t#(?P<code>\d{1,5}))?(?:\t~(?P<job>\d{1,9}))?\Z", re.ASCII)
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
    if position is not None and not all(
        math.isfinite(value) and abs(value) <= _MAX_COORDINATE for value in position
    ):
        return None
    if rtp_timestamp is not None and not 0 <= rtp_timestamp < 1 << 32:
        return None
    return Estimate(position, pts, rtp_timestamp, frame_code, job_s)


def format_estimate(estimate: Estimate) -> str:
    """Write a message with three decimals a coordinate."""
    seen = estimate.position
    place = "-\t-" if seen is None else f"{seen[0]:.3f}\t{seen[1]:.3f}"
    tail = "" if estimate.rtp_timestamp is None else f"\t{estimate.rtp_timestamp}"
    if tail and estimate.frame_code is not None:
        tail += f"\t#{estimate.frame_code}"
    if tail and estimate.job_s is not None:
        tail += f"\t~{min(round(estimate.job_s * 1e6), _MOST_JOB_US)}"
    return f"{place}\t{estimate.pts}{tail}"
