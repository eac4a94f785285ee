"""What a session asks of its encoder."""

from dataclasses import dataclass
from typing import Literal

Quality = Literal["Accuracy", "Balanced", "Speed"]

_LEAST_BITRATE = 250_000
_BITS_PER_PIXEL = 0.07
"""Enough for moving texture in H264; 4.4 Mbit/s for 1920x1080 at 30 frames/s."""


@dataclass(frozen=True, slots=True)
class EncoderSettings:
    """Options of one process; every encoder that it makes has them."""

    quality: Quality
    fps: int
    min_bitrate: int
    """Bit/s below which the receiver's estimate of the path cannot push the encoder."""
    max_bitrate: int
    """Bit/s above which the encoder never goes for longer than a second."""

    @property
    def start_bitrate(self) -> int:
        """Budget until the receiver has said something, bit/s."""
        return max(self.min_bitrate, self.max_bitrate // 2)

    @property
    def gop(self) -> int:
        """Frames from key frame to key frame: 2 s, so that nobody waits longer for a picture."""
        return max(1, 2 * self.fps)

    def clamp(self, bitrate: int) -> int:
        """A bitrate within the range."""
        return max(self.min_bitrate, min(bitrate, self.max_bitrate))


def encoder_settings(
    *, quality: Quality, width: int, height: int, fps: int, min_kbps: int = 0, max_kbps: int = 0
) -> EncoderSettings:
    """Settings for a stream; a bound of 0 follows from the picture's size and rate."""
    usual = max(1_000_000, int(width * height * fps * _BITS_PER_PIXEL))
    most = max_kbps * 1000 or max(2 * usual, min_kbps * 1000)
    least = min_kbps * 1000 or min(_LEAST_BITRATE, most)
    return EncoderSettings(quality, fps, least, max(least, most))
