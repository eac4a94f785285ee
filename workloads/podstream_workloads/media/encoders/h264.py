"""H264 by x264: constant quality below the budget, a constant bitrate where that is too little."""

from typing import Any, Final

from podstream_workloads.media import aiortc_private
from podstream_workloads.media.encoders.base import BudgetEncoder
from podstream_workloads.media.encoders.mode import Mode
from podstream_workloads.media.encoders.settings import Quality

_PRESETS: Final[dict[Quality, str]] = {
    "Accuracy": "medium",
    "Balanced": "superfast",
    "Speed": "ultrafast",
}
_CRF: Final[dict[Quality, str]] = {"Accuracy": "8", "Balanced": "8", "Speed": "12"}
_SHARP: Final = "aq-mode=0:no-deblock=1:scenecut=0"
"""Adaptive quantisation takes bits from the edge of a disc, deblocking moves it; noise passes for
one change of scene after the other."""


class H264Encoder(BudgetEncoder):
    """Constrained Baseline, as aiortc offers; level and frame rate are the stream's own."""

    codec_name = "libx264"

    def packetize(self, data: bytes) -> list[bytes]:
        """RTP payloads after RFC 6184."""
        return aiortc_private.packetize_h264(data)

    def configure(self, codec: Any) -> None:
        """Constant rate factor under the budget's cap, or the budget as constant bitrate."""
        quality = self.settings.quality
        options = {"preset": _PRESETS[quality], "tune": "zerolatency", "x264-params": _SHARP}
        most = self.settings.max_bitrate
        if self.mode is Mode.QUALITY:
            options["crf"] = _CRF[quality]
        else:
            # x264 takes a new bitrate while it runs only where it began as a constant one.
            codec.bit_rate = most = self.target_bitrate
        options |= {"maxrate": str(most), "bufsize": str(most)}
        codec.options = options
        codec.profile = "Baseline"

    def follow_budget(self, codec: Any, *, now: float) -> bool:
        """x264 takes a new bitrate while it runs."""
        if codec.bit_rate != self.target_bitrate:
            codec.bit_rate = self.target_bitrate
        return False
