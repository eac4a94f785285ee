"""Applies a planned chain to a frame. Pixels: only for the processes that work on them."""

import numpy as np
from numpy.typing import NDArray

from podstream_workloads.imageops.operations.apply import apply_chain
from podstream_workloads.imageops.operations.colour import convert
from podstream_workloads.imageops.operations.values import Space
from podstream_workloads.imageops.streaming.chain import Chain

Frame = NDArray[np.uint8]
"""Shape (height, width, 3), BGR."""


def process(frame: Frame, chain: Chain) -> Frame:
    """The frame after all operations, in BGR; may be a part of the frame itself."""
    picture, space = apply_chain(frame, chain.operations, space=Space.BGR)
    if space is not Space.BGR:
        picture = convert(picture, source=space, target=Space.BGR)
    return np.ascontiguousarray(picture, dtype=np.uint8)
