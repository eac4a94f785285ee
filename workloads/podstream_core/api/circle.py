"""The circle workload: a ball streamed over WebRTC and scored against its true position."""

from enum import StrEnum
from typing import Annotated, Literal

from msgspec import Meta

from podstream_core.api.base import ApiValue

HexColor = Annotated[str, Meta(pattern="^#[0-9a-fA-F]{6}$")]


class Codec(StrEnum):
    """Video codec that the server prefers; the other one serves clients that lack it."""

    H264 = "H264"
    VP8 = "VP8"


class Ball(ApiValue, frozen=True, kw_only=True):
    """The ball and its law of motion."""

    radius: Annotated[int, Meta(ge=4, le=500)] = 20
    """Pixels."""
    speed: Annotated[float, Meta(ge=0, le=100)] = 3
    """Pixels per frame along each axis."""
    color: HexColor | None = None
    """RGB; without it a colour is drawn at random (`Random`) or pure green (`Fixed`)."""
    motion: Literal["Random", "Fixed"] = "Random"
    """`Random`: start, direction and per-axis speed (0.5-1.5 times `speed`) are drawn per session.

    `Fixed`: from (radius, radius) towards the lower right at exactly `speed`.
    """


class Estimator(ApiValue, frozen=True, kw_only=True):
    """How the built-in client finds the ball."""

    method: Literal["DiscFit", "Hough", "Moments"] = "DiscFit"
    min_radius: Annotated[int, Meta(ge=2, le=1000)] = 4
    """Smallest disc that `DiscFit` takes for the ball, pixels."""
    max_radius: Annotated[int, Meta(ge=2, le=1000)] = 500
    """Biggest one."""
    color: HexColor | None = None
    """RGB of the ball, where the client shall know it: other discs are refused (`DiscFit`)."""
    dp: Annotated[float, Meta(ge=1, le=20)] = 6
    """Inverse accumulator resolution of `cv2.HoughCircles`."""
    min_dist: Annotated[float, Meta(ge=1, le=4096)] = 8
    """Minimum distance between circle centres of `cv2.HoughCircles`, pixels."""


class Bitrate(ApiValue, frozen=True, kw_only=True):
    """Range of the video's bitrate; 0: from the picture's size and rate."""

    min_kbps: Annotated[int, Meta(ge=0, le=200_000)] = 0
    max_kbps: Annotated[int, Meta(ge=0, le=200_000)] = 0


class Circle(ApiValue, frozen=True, kw_only=True):
    """`spec.circle`."""

    source: Literal["Generated", "Upload", "Stream"] = "Generated"
    """`Generated`: the server draws the ball, the client finds it. `Upload`: the other way round.

    `Stream`: as Upload, in the frames of the session's stream, which others look at too. Of the
    members below only `frames` and `estimator` matter to these two.
    """
    width: Annotated[int, Meta(ge=64, le=3840, multiple_of=2)] = 640
    height: Annotated[int, Meta(ge=64, le=2160, multiple_of=2)] = 480
    fps: Annotated[int, Meta(ge=1, le=120)] = 30
    codec: Codec = Codec.H264
    quality: Literal["Accuracy", "Balanced", "Speed"] = "Balanced"
    """How much CPU and bitrate the server spends on pictures that can be measured."""
    bitrate: Bitrate = Bitrate()
    ball: Ball = Ball()
    frames: Annotated[int, Meta(ge=0, le=10_000_000)] = 0
    """Scored frames (`Upload`, `Stream`: with a ball) until the workload is done; 0: no limit."""
    estimator: Estimator = Estimator()
    frame_code: bool = False
    """Show each frame's number in the picture, as a cross-check of frame identity."""
    tell_truth: bool = False
    """Tell the client, once its estimate counts, where the ball was in that frame."""
    log_estimates: bool = False
    """Log truth, estimate and RMSE of every estimate in the session pod."""


class LatencyMs(ApiValue, frozen=True, kw_only=True):
    """Percentiles of a latency in milliseconds."""

    p50: float
    p95: float
    p99: float


class Position(ApiValue, frozen=True, kw_only=True):
    """A place in a picture, pixels; the centre of the upper left pixel is (0, 0)."""

    x: float
    y: float


class CircleResults(ApiValue, frozen=True, kw_only=True):
    """`status.results.circle`. Distances in pixels of the streamed picture."""

    summary: str = ""
    """The figures in one line."""
    plot: str | None = None
    """Path of the drawing below the router's URL, once the figures are final."""
    codec: Codec | None = None
    """Codec that was negotiated."""
    frames_sent: int = 0
    frames_skipped: int = 0
    """Frames that the asked rate has and that were not sent: too late, or left out on purpose."""
    frames_scored: int = 0
    frames_unmatched: int = 0
    """Estimates whose frame id was never sent, was already scored, or is too old."""
    frames_missed: int = 0
    """Frames in which the client (Upload, Stream: the server) saw no ball."""
    codes_agreed: int = 0
    """Estimates whose number, read in the picture, is that of the frame that was matched."""
    codes_differed: int = 0
    """Estimates whose number is another one."""
    frames_received: int = 0
    """Upload: frames of the client that were decoded. Stream: frames of the stream."""
    frames_dropped: int = 0
    """Upload, Stream: frames that a newer one replaced before they were looked at."""
    frames_found: int = 0
    """Upload, Stream: frames in which the ball was found."""
    position: Position | None = None
    """Upload, Stream: where it was found last."""
    loss_ratio: float | None = None
    """Share of sent frames that were neither scored nor reported as missed, 0..1."""
    rmse_px: float | None = None
    """Root of the mean over frames of (dx² + dy²)/2, as the original ball tracker defines it."""
    rmse_euclidean_px: float | None = None
    """Root of the mean over frames of dx² + dy²."""
    error_p95_px: float | None = None
    """95th percentile of the Euclidean error."""
    fps: float | None = None
    """Scored (Upload, Stream: examined) frames per second between the first and the last one."""
    latency_ms: LatencyMs | None = None
    """From the moment a frame was drawn to the arrival of its estimate."""
