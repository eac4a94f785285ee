"""The process that applies the operations: raw frames in on stdin, raw frames out on stdout.

    python -m podstream_workloads.stream.processing.worker WIDTH HEIGHT OPERATION...

It takes the next frame when the last one has left, and ends with its stdin. A crash in a codec or
filter is its own, and it yields the processor to whoever takes frames in.
"""

import os
import sys
from typing import BinaryIO, Final

import cv2
import numpy as np

from podstream_workloads.imageops.streaming.applying import process
from podstream_workloads.imageops.streaming.chain import Chain, plan
from podstream_workloads.stream.frames import CHANNELS, Frame

_NICE: Final = 5


def serve(source: BinaryIO, sink: BinaryIO, *, width: int, height: int, chain: Chain) -> None:
    """Work until the source ends."""
    pixels = bytearray(width * height * CHANNELS)
    frame: Frame = np.frombuffer(pixels, np.uint8).reshape(height, width, CHANNELS)
    while source.readinto(pixels) == len(pixels):  # type: ignore[attr-defined]  # buffered
        sink.write(process(frame, chain).data)
        sink.flush()


def main() -> None:
    """Run the process."""
    os.nice(_NICE)
    cv2.setNumThreads(1)
    width, height = int(sys.argv[1]), int(sys.argv[2])
    chain = plan(sys.argv[3:], width=width, height=height)
    serve(sys.stdin.buffer, sys.stdout.buffer, width=width, height=height, chain=chain)


if __name__ == "__main__":
    main()
