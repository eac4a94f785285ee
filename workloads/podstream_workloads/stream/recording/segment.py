"""One file of a recording: frames in, a video that players open out.

AVI files play at the measured rate of their frames. MP4 files keep every frame's time, and are
written in fragments of a second (ISO/IEC 14496-12, movie fragments), so that what is there plays
while it is written and where the process is killed; a finished one has the ordinary index all the
same.
"""

import contextlib
import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Final

import av
import cv2
import numpy as np
from av.packet import Packet
from av.video.frame import PictureType
from av.video.stream import VideoStream

from podstream_core.api import RecordingCodec
from podstream_workloads.stream.frames import Frame
from podstream_workloads.stream.recording.avi import set_rate
from podstream_workloads.stream.recording.fragments import Fragments
from podstream_workloads.stream.recording.naming import PART_SUFFIX

DEFAULT_FPS: Final = 30.0
"""Of a file with one frame, which has no rate."""
LONGEST_GAP_S: Final = 2.0
"""A longer pause between two frames is one of the publisher's, not a slow rate."""
_MIN_FPS: Final = 0.5
_MAX_FPS: Final = 1000.0
_KEY_EVERY_S: Final = 1.0
"""Between the key pictures of an MP4 file, each of which begins a fragment."""
_NO_OTHER_KEYS: Final = 1_000_000
_CLOCK: Final = 90_000
"""Units a second of an MP4 file's times, as in RTP."""


@dataclass(frozen=True, slots=True)
class _Format:
    container: str
    encoder: str
    tag: str | None
    pixels: str
    options: dict[str, str]
    muxer: dict[str, str]


_FORMATS: Final = MappingProxyType(
    {
        RecordingCodec.XVID: _Format("avi", "mpeg4", "XVID", "yuv420p", {"qscale": "4"}, {}),
        RecordingCodec.MJPG: _Format("avi", "mjpeg", "MJPG", "yuvj420p", {"qscale": "3"}, {}),
        RecordingCodec.H264: _Format(
            "mp4",
            "libx264",
            None,
            "yuv420p",
            # One thread and no lookahead: a frame is in the file a frame later, not forty. Key
            # pictures where they are asked for, and nowhere else.
            {
                "preset": "superfast",
                "crf": "21",
                "tune": "zerolatency",
                "threads": "1",
                "forced-idr": "1",
                "sc_threshold": "0",
            },
            {
                "movflags": "hybrid_fragmented+empty_moov+frag_keyframe+default_base_moof",
                "flush_packets": "1",
            },
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Whole:
    """A file that players open, under its name."""

    path: Path
    frames: int
    seconds: float
    """Playing time."""
    bytes: int


class Segment:
    """A file that is being written. Not for use by two threads at once.

    Every method raises `OSError` where the disk fails (PyAV's errors of the system are among
    them) and `av.error.FFmpegError` where the encoder does.
    """

    def __init__(self, path: Path, *, codec: RecordingCodec, width: int, height: int) -> None:
        """Open a file under its name with `.part` behind it.

        Args:
            path: where the finished file will be.
            codec: and with it the container.
            width: of every frame, pixels.
            height: of every frame, rows.
        """
        form = _FORMATS[codec]
        self._path = path
        self._part = path.with_name(path.name + PART_SUFFIX)
        self._is_avi = form.container == "avi"
        self._pixels = form.pixels
        self._frames = 0
        self._first_at = self._last_at = 0.0
        self._last_gap_s = 1 / DEFAULT_FPS
        self._pts = -1
        self._playing_s = 0.0
        self._container = av.open(str(self._part), "w", format=form.container, options=form.muxer)
        stream = self._container.add_stream(form.encoder, rate=round(DEFAULT_FPS))
        assert isinstance(stream, VideoStream)  # every encoder of the table is one of video
        self._stream = stream
        stream.width, stream.height = width, height
        stream.pix_fmt = form.pixels
        stream.options = dict(form.options)
        if form.tag is not None:
            stream.codec_context.codec_tag = form.tag
        if not self._is_avi:
            stream.codec_context.time_base = Fraction(1, _CLOCK)
            stream.codec_context.gop_size = _NO_OTHER_KEYS
        self.fragments = None if self._is_avi else Fragments(clock=_CLOCK)
        """What can be played before the file is finished; AVI files have none."""
        self._key_at = -math.inf

    @property
    def size(self) -> int:
        """Bytes on the disk so far; the muxer keeps some more."""
        return self._part.stat().st_size

    def age_s(self, at: float) -> float:
        """Seconds since the first frame; 0 before it."""
        return at - self._first_at if self._frames else 0.0

    def write(self, frame: Frame, *, at: float) -> None:
        """Add a frame.

        Args:
            frame: of the size that the file was opened with.
            at: seconds on a monotonic clock at which it came.
        """
        if not self._frames:
            self._first_at = at
        else:
            self._last_gap_s = max(at - self._last_at, 0.0)
            self._playing_s += min(self._last_gap_s, LONGEST_GAP_S)
        self._last_at = at
        picture = _picture(frame, pixels=self._pixels)
        if self._is_avi:
            picture.pts = self._frames
        else:
            # Two frames of one moment would have no order.
            self._pts = max(round((at - self._first_at) * _CLOCK), self._pts + 1)
            picture.pts = self._pts
            picture.time_base = Fraction(1, _CLOCK)
            if at - self._key_at >= _KEY_EVERY_S:
                self._key_at = at
                picture.pict_type = PictureType.I
        for packet in self._stream.encode(picture):
            self._note(packet)
            self._container.mux(packet)
        self._frames += 1

    def _note(self, packet: "Packet[VideoStream]") -> None:
        if self.fragments is not None and packet.is_keyframe and packet.pts is not None:
            self.fragments.begin(packet.pts / _CLOCK)

    @property
    def path(self) -> Path:
        """The file as it will be called."""
        return self._path

    @property
    def end_s(self) -> float:
        """Playing time with the last frame's share, which is as long as the one before's."""
        return self._last_at - self._first_at + self._last_gap_s

    @property
    def playing_path(self) -> Path:
        """The file as it is called while it is written."""
        return self._part

    def finish(self) -> Whole:
        """Write the index and the rate, and give the file its name."""
        for packet in self._stream.encode(None):
            self._note(packet)
            self._container.mux(packet)
        self._container.close()
        seconds = self._last_at - self._first_at
        if self._is_avi:
            fps = self._rate()
            set_rate(self._part, fps)
            seconds = self._frames / fps
        size = self._part.stat().st_size
        self._part.rename(self._path)
        return Whole(self._path, self._frames, seconds, size)

    def abandon(self) -> Whole | None:
        """Close a file that cannot be finished, and keep what players open; nothing is raised.

        Returns:
            An MP4 file up to its last fragment. Without its index an AVI file is none, and is
            removed.
        """
        with contextlib.suppress(OSError, av.error.FFmpegError):  # as its disk is full, say
            self._container.close()
        if not self._is_avi:
            with contextlib.suppress(OSError, av.error.FFmpegError):
                frames, seconds = _playable(self._part)
                if frames:
                    self._part.rename(self._path)
                    return Whole(self._path, frames, seconds, self._path.stat().st_size)
        self._part.unlink(missing_ok=True)
        return None

    def _rate(self) -> float:
        if self._frames < 2 or self._playing_s <= 0:  # noqa: PLR2004 - a rate needs two
            return DEFAULT_FPS
        return min(max((self._frames - 1) / self._playing_s, _MIN_FPS), _MAX_FPS)


def _playable(path: Path) -> tuple[int, float]:
    """Whole frames of a file and the time of its last one, seconds."""
    frames, last_s = 0, 0.0
    with av.open(str(path)) as container:
        for packet in container.demux(container.streams.video[0]):
            if packet.size and packet.pts is not None:
                frames += 1
                last_s = max(last_s, float(packet.pts * packet.time_base))
    return frames, last_s


def _picture(frame: Frame, *, pixels: str) -> av.VideoFrame:
    """A frame for the encoder, which converts what does not come in its own form.

    OpenCV's conversion to I420 (BT.601, limited range, as FFmpeg's default is) takes an eighth of
    FFmpeg's time; it needs even sizes.
    """
    height, width, _ = frame.shape
    if pixels == "yuv420p" and height % 2 == 0 and width % 2 == 0:
        planes = np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2YUV_I420), dtype=np.uint8)
        return av.VideoFrame.from_ndarray(planes, format=pixels)
    return av.VideoFrame.from_ndarray(frame, format="bgr24")
