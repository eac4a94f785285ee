"""Which codec a peer connection prefers."""

from aiortc import RTCRtpCodecCapability, RTCRtpSender

from podstream_core.api import Codec


def codec_preferences(first: Codec) -> list[RTCRtpCodecCapability]:
    """Aiortc's codecs with the preferred one first; repair formats stay beside their codec."""
    known = RTCRtpSender.getCapabilities("video").codecs
    return sorted(known, key=lambda item: item.mimeType.upper() != f"VIDEO/{first}")
