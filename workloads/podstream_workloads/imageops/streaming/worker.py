"""The process that applies operations to the frames of the session's stream.

    python -m podstream_workloads.imageops.streaming.worker SOCKET PICTURE WIDTH HEIGHT OPERATION...

It takes the newest frame when it has finished the last one. On stdout it says `ready`, and then a
line for each frame: its number in the stream and the milliseconds from the frame's arrival in the
pod to the result, or `failed`. At the stream's end, or when told to stop, it writes the last result
to PICTURE and ends with 0. A crash in a filter is its own, and it yields the processor to whoever
takes frames in.
"""

import logging
import os
import signal
import sys
import time
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from podstream_workloads.imageops.streaming.applying import Frame, process
from podstream_workloads.imageops.streaming.chain import Chain, plan
from podstream_workloads.sharing import FrameReader

logger = logging.getLogger(__name__)

_NICE: Final = 5


def work(reader: FrameReader, chain: Chain) -> Frame | None:
    """Work until the stream's end; return the last result."""
    last: Frame | None = None
    while (shared := reader.next()) is not None:
        try:
            result = process(shared.image, chain)
        except (cv2.error, ValueError) as error:
            logger.error("frame %d: %s", shared.sequence, error)
            said = "failed"
        else:
            # Cuts and mirrored frames lie in the shared memory, which is the next frame's soon.
            last = result.copy() if np.may_share_memory(result, shared.image) else result
            said = f"{(time.monotonic() - shared.at) * 1000:.3f}"
        print(shared.sequence, said, flush=True)  # noqa: T201 - to the parent process
    return last


def main() -> None:
    """Run the process."""
    os.nice(_NICE)
    cv2.setNumThreads(1)
    path, picture, width, height, *texts = sys.argv[1:]
    chain = plan(texts, width=int(width), height=int(height))
    reader = FrameReader.connect(Path(path))
    signal.signal(signal.SIGTERM, lambda *_: reader.close())
    print("ready", flush=True)  # noqa: T201
    last = work(reader, chain)
    part = f"{picture}.part.png"  # a process that is killed meanwhile leaves no half picture
    if last is not None and cv2.imwrite(part, last):
        os.replace(part, picture)


if __name__ == "__main__":
    main()
