"""Every name of aiortc and aioice that podstream uses although their documentation has it not.

Both are pinned exactly. `tests/media/test_private_names.py` fails when a name goes, and when the
sources use one that is not listed; `test_aiortc_private.py` and `test_takeover.py` fail when one
changes its meaning. Private names stand in `aiortc_private`, `jitter` and `takeover` only.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

PRIVATE: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "aiortc.rtcrtpreceiver.RTCRtpReceiver": (
            "_RTCRtpReceiver__active_ssrc",
            "_RTCRtpReceiver__codecs",
            "_RTCRtpReceiver__decoder_queue",
            "_RTCRtpReceiver__decoder_thread",
            "_RTCRtpReceiver__jitter_buffer",
            "_RTCRtpReceiver__nack_generator",
            "_RTCRtpReceiver__remote_streams",
            "_RTCRtpReceiver__rtx_ssrc",
            "_RTCRtpReceiver__timestamp_mapper",
            "_handle_rtp_packet",
            "_send_rtcp_nack",
            "_send_rtcp_pli",
        ),
        "aiortc.rtcrtpreceiver.TimestampMapper": ("_origin",),
        "aiortc.rtcrtpsender.RTCRtpSender": (
            "_RTCRtpSender__encoder",
            "_RTCRtpSender__packet_count",
            "_RTCRtpSender__rtp_header_extensions_map",
            "_RTCRtpSender__rtp_history",
            "_RTCRtpSender__rtp_timestamp",
            "_send_keyframe",
        ),
        "aiortc.rtcdtlstransport.RTCDtlsTransport": ("_send_rtp",),
        "aiortc.rtcrtptransceiver.RTCRtpTransceiver": ("_codecs",),
        "aiortc.rtcicetransport.RTCIceGatherer": ("_connection",),
        "aiortc.jitterbuffer.JitterBuffer": (
            "_capacity",
            "_is_video",
            "_origin",
            "_packets",
            "_remove_frame",
        ),
        "aiortc.codecs.h264.H264Encoder": ("_packetize", "_split_bitstream"),
        "aiortc.codecs.vpx.Vp8Encoder": ("_packetize",),
        "aioice.ice.Connection": (
            "_check_list",
            "_nominated",
            "_protocols",
            "_remote_candidates",
        ),
    }
)
"""Names with an underscore, by their owner. `_data`, which the receiver hangs on packets, is the
one that no class declares."""

ON_PACKETS: Final = "_data"

UNDOCUMENTED: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "aiortc.rtcrtpreceiver": ("JitterBuffer", "RTP_HISTORY_SIZE", "RTCRtpReceiver"),
        "aiortc.rtcrtpreceiver.NackGenerator": ("missing",),
        "aiortc.rtcrtpreceiver.StreamStatistics": ("packets_received",),
        "aiortc.rtcrtpsender": ("RTP_HISTORY_SIZE", "get_encoder"),
        "aiortc.rtcpeerconnection": ("RTCIceGatherer",),
        "aiortc.jitterbuffer": ("JitterBuffer", "JitterFrame"),
        "aiortc.jitterbuffer.JitterBuffer": ("add", "remove"),
        "aiortc.codecs": ("get_encoder",),
        "aiortc.codecs.base.Encoder": ("encode", "pack"),
        "aiortc.mediastreams": ("VIDEO_TIME_BASE", "MediaStreamError", "convert_timebase"),
        "aiortc.sdp.SessionDescription": ("parse",),
        "aioice.candidate": ("Candidate", "candidate_foundation", "candidate_priority"),
        "aioice.ice": ("CandidatePair", "Connection", "StunProtocol"),
        "aioice.ice.Connection": (
            "check_complete",
            "check_incoming",
            "close",
            "get_component_candidates",
            "sort_check_list",
        ),
        "aioice.ice.StunProtocol": ("datagram_received", "local_candidate"),
        "aioice.stun": ("Message",),
    }
)
"""Names without one that their packages do not export: replaced, overridden or called."""
