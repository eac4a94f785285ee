"""Encoders for aiortc whose pictures can be measured: VP8 and H264 with options of our own.

aiortc's encoders keep a ball's edge in place to some hundredths of a pixel only: what moves it are
whole blocks that the encoder skips or takes from the frame before. A cap on the quantiser holds
them in place at about the same bitrate. On pictures where it would cost more than the connection's
budget (noise) the cap gives way to a plain bitrate, see `mode`.
"""
