"""Puts the encoders in the place of aiortc's."""

from functools import partial

from podstream_workloads.media import aiortc_private
from podstream_workloads.media.encoders.h264 import H264Encoder
from podstream_workloads.media.encoders.settings import EncoderSettings
from podstream_workloads.media.encoders.vp8 import Vp8Encoder


def use_encoders(settings: EncoderSettings) -> None:
    """Encode with these settings whatever this process sends from now on."""
    aiortc_private.use_encoders(
        {"H264": partial(H264Encoder, settings), "VP8": partial(Vp8Encoder, settings)}
    )
