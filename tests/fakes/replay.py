"""A session's pictures again, without any network: drawn, encoded, decoded, looked at."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import av

from fakes.balls import Errors, errors
from podstream_core.api import Codec
from podstream_workloads.circle.draw import Canvas, YuvColor
from podstream_workloads.discfit.tracker import DiscTracker
from podstream_workloads.media.clock import VIDEO_CLOCK_RATE, pts_of
from podstream_workloads.media.encoders.base import BudgetEncoder
from podstream_workloads.media.encoders.h264 import H264Encoder
from podstream_workloads.media.encoders.settings import Quality, encoder_settings
from podstream_workloads.media.encoders.vp8 import Vp8Encoder

Place = tuple[int, float, float]
"""Number of a frame, and where the ball's centre is in it, pixels."""


def replay(
    places: Sequence[Place],
    *,
    codec: Codec,
    size: tuple[int, int],
    radius: int,
    color: str,
    fps: int = 30,
    quality: Quality = "Balanced",
) -> Errors:
    """Error of the disc fit on frames that the workload's canvas and encoder have made.

    Args:
        places: frames in order; what a session skipped is left out.
        codec: whose encoder takes them.
        size: width and height, pixels.
        radius: the ball's, pixels.
        color: the ball's, `#rrggbb`.
        fps: frames/s that the numbers count.
        quality: the encoder's.
    """
    width, height = size
    canvas = Canvas(width=width, height=height, radius=radius, color=YuvColor.from_hex(color))
    settings = encoder_settings(quality=quality, width=width, height=height, fps=fps)
    is_h264 = codec is Codec.H264
    encoder: BudgetEncoder = H264Encoder(settings) if is_h264 else Vp8Encoder(settings)
    decoder: Any = av.CodecContext.create("h264" if is_h264 else "vp8", "r")
    tracker, pairs = DiscTracker(), []
    for index, x, y in places:
        frame = canvas.draw(x, y)
        frame.pts, frame.time_base = pts_of(index, fps=fps), Fraction(1, VIDEO_CLOCK_RATE)
        for decoded in decoder.decode(av.Packet(encoder.encode_picture(frame))):
            ball = tracker.find(decoded)
            pairs.append(((x, y), None if ball is None else (ball.x, ball.y)))
    return errors(pairs)
