"""What both encoders share: aiortc's interface, budget, mode, key frames."""

import abc
from typing import Any

import av
from aiortc.codecs.base import Encoder
from aiortc.mediastreams import VIDEO_TIME_BASE, convert_timebase
from av import VideoFrame
from av.video.frame import PictureType

from podstream_workloads.media.encoders.mode import KeyFrameGate, Mode, ModeGovernor
from podstream_workloads.media.encoders.settings import EncoderSettings


class BudgetEncoder(Encoder):
    """Encodes near the original while that stays within the budget; see `mode`.

    `target_bitrate` is the budget: aiortc sets it to the receiver's estimate of the path (REMB).
    """

    def __init__(self, settings: EncoderSettings) -> None:
        self.settings = settings
        self.mode = Mode.QUALITY
        self._governor = ModeGovernor()
        self._keys = KeyFrameGate()
        self._budget = settings.start_bitrate
        self._codec: Any = None
        self.is_key = False
        """Whether the picture that was encoded last can be shown without any other."""

    @property
    def target_bitrate(self) -> int:
        """The budget, bit/s."""
        return self._budget

    @target_bitrate.setter
    def target_bitrate(self, bitrate: int) -> None:
        self._budget = self.settings.clamp(bitrate)

    def encode(self, frame: Any, force_keyframe: bool = False) -> tuple[list[bytes], int]:
        """RTP payloads of a frame and its RTP time. One call at a time, in a worker thread."""
        data = self.encode_picture(frame, force_keyframe=force_keyframe)
        return self.packetize(data), convert_timebase(frame.pts, frame.time_base, VIDEO_TIME_BASE)

    def pack(self, packet: Any) -> tuple[list[bytes], int]:
        """RTP payloads of what is encoded already."""
        time = convert_timebase(packet.pts, packet.time_base, VIDEO_TIME_BASE)
        return self.packetize(bytes(packet)), time

    def encode_picture(self, frame: VideoFrame, *, force_keyframe: bool = False) -> bytes:
        """The encoded picture."""
        if frame.format.name != "yuv420p":
            frame = frame.reformat(format="yuv420p")
        now = float((frame.pts or 0) * (frame.time_base or 0))
        if self._codec is not None and self._must_restart(frame, now=now):
            self._codec = None
        if self._codec is None:
            self._codec = self._open(frame)
            self._keys.made(now=now)
        frame.pict_type = (
            PictureType.I if self._keys.is_due(asked=force_keyframe, now=now) else PictureType.NONE
        )
        data, is_key = bytearray(), False
        for packet in self._codec.encode(frame):
            is_key = is_key or packet.is_keyframe
            data += bytes(packet)
        self.is_key = is_key
        if is_key:
            self._keys.made(now=now)
        else:
            self._governor.sent(8 * len(data), now=now, budget=self._budget)
        return bytes(data)

    @abc.abstractmethod
    def packetize(self, data: bytes) -> list[bytes]:
        """Cut an encoded picture into RTP payloads."""

    @abc.abstractmethod
    def configure(self, codec: Any) -> None:
        """Set the options of a new codec for `mode` and the budget."""

    @abc.abstractmethod
    def follow_budget(self, codec: Any, *, now: float) -> bool:
        """Bring a codec in `Mode.RATE` to the budget; whether it must be made anew for that."""

    @property
    @abc.abstractmethod
    def codec_name(self) -> str:
        """FFmpeg's name of the encoder."""

    def _must_restart(self, frame: VideoFrame, *, now: float) -> bool:
        if (frame.width, frame.height) != (self._codec.width, self._codec.height):
            return True
        if self._governor.mode is not self.mode:
            return True
        return self.mode is Mode.RATE and self.follow_budget(self._codec, now=now)

    def _open(self, frame: VideoFrame) -> Any:
        self.mode = self._governor.mode
        codec: Any = av.CodecContext.create(self.codec_name, "w")
        codec.width, codec.height, codec.pix_fmt = frame.width, frame.height, "yuv420p"
        codec.framerate, codec.time_base = self.settings.fps, VIDEO_TIME_BASE
        codec.gop_size = self.settings.gop
        # libvpx spins on a busy machine, x264 trades latency: one thread each.
        codec.thread_count = 1
        self.configure(codec)
        return codec
