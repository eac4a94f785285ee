"""VP8 by libvpx: a capped quantiser below the budget, else a constant bitrate."""

import random
from typing import Any, Final

from podstream_workloads.media import aiortc_private
from podstream_workloads.media.encoders.base import BudgetEncoder
from podstream_workloads.media.encoders.mode import Mode, SteppedRate
from podstream_workloads.media.encoders.settings import EncoderSettings, Quality

_CPU_USED: Final[dict[Quality, str]] = {"Accuracy": "-6", "Balanced": "-12", "Speed": "-16"}
_QUANTIZER_CAP: Final[dict[Quality, int]] = {"Accuracy": 0, "Balanced": 0, "Speed": 12}
"""At 0 nothing is saved on a ball that differs in hue only, or by a few grey levels: at 4 the error
was twice as large, for a seventh fewer bits."""
_STATIC: Final[dict[Quality, str]] = {"Accuracy": "0", "Balanced": "1", "Speed": "100"}
"""Error of a block up to which it is left as it was. Without any, libvpx searches a still
background anew in every frame: half of its time."""
_LEAST_QUANTIZER: Final = 2
_MOST_QUANTIZER: Final = 56


class Vp8Encoder(BudgetEncoder):
    """Realtime mode without denoising: that takes a slow edge for noise and leaves it behind."""

    codec_name = "libvpx"

    def __init__(self, settings: EncoderSettings) -> None:
        super().__init__(settings)
        self._picture_id = random.randrange(1 << 15)
        self._rate: SteppedRate | None = None

    def packetize(self, data: bytes) -> list[bytes]:
        """RTP payloads after RFC 7741."""
        payloads = aiortc_private.packetize_vp8(data, picture_id=self._picture_id)
        self._picture_id = (self._picture_id + 1) % (1 << 15)
        return payloads

    def configure(self, codec: Any) -> None:
        """The budget as constant bitrate; in quality mode the cap wins where both cannot be met."""
        quality = self.settings.quality
        is_capped = self.mode is Mode.QUALITY
        if is_capped:
            self._rate = None
        elif self._rate is None:
            self._rate = SteppedRate(self.target_bitrate)
        rate = self.target_bitrate if self._rate is None else self._rate.rate
        codec.bit_rate = rate
        codec.qmax = _QUANTIZER_CAP[quality] if is_capped else _MOST_QUANTIZER
        codec.qmin = min(_LEAST_QUANTIZER, codec.qmax)
        codec.options = {
            "deadline": "realtime",
            "cpu-used": _CPU_USED[quality],
            "lag-in-frames": "0",
            "noise-sensitivity": "0",
            "static-thresh": _STATIC[quality],
            "partitions": "0",
            "minrate": str(rate),
            "maxrate": str(rate),
            "bufsize": str(rate),
            "undershoot-pct": "100",
            "overshoot-pct": "15",
        }

    def follow_budget(self, codec: Any, *, now: float) -> bool:
        """FFmpeg's libvpx takes no new bitrate while it runs: in steps, with a new codec each."""
        return self._rate is not None and self._rate.follow(self.target_bitrate, now=now)
