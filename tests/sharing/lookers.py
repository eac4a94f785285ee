"""A process that looks at a stream's frames, one at a time when told to.

python lookers.py PATH: asks for a frame each time a line comes on stdin, and says its number and
the sum of its pixels.
"""

import sys
from pathlib import Path

from podstream_workloads.sharing import FrameReader


def main() -> None:
    reader = FrameReader.connect(Path(sys.argv[1]))
    for _ in sys.stdin:
        shared = reader.next()
        if shared is None:
            return
        print(shared.sequence, int(shared.image.sum(dtype="int64")), flush=True)


if __name__ == "__main__":
    main()
