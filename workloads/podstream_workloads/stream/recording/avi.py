"""Writes the rate of a finished AVI file into its header.

An AVI file has one rate for all its frames, and it stands in front of them: before anything is
known of how fast they come. Its place is fixed (Microsoft, "AVI RIFF File Reference", structures
AVIMAINHEADER and AVISTREAMHEADER), so it is corrected once the last frame is there.
"""

import struct
from pathlib import Path
from typing import Final

_HEADER_BYTES: Final = 4096
"""The lists `hdrl` and `strl` of a file with one stream begin well within."""
_MICROSECONDS_PER_FRAME_AT: Final = 8
"""Of AVIMAINHEADER, behind the chunk's name and size."""
_SCALE_AND_RATE_AT: Final = 28
"""Of AVISTREAMHEADER: dwScale, dwRate; the rate is their quotient."""
_SCALE: Final = 1000


class NoAviHeader(ValueError):
    """The file does not begin as an AVI file with a video stream does."""


def set_rate(path: Path, fps: float) -> None:
    """Have a file play at so many frames a second.

    Raises:
        NoAviHeader: it is no AVI file.
        OSError: it cannot be written.
    """
    with path.open("r+b") as file:
        head = file.read(_HEADER_BYTES)
        main, stream = head.find(b"avih"), head.find(b"strh")
        if not head.startswith(b"RIFF") or main < 0 or stream < 0:
            raise NoAviHeader(f"{path.name} has no header of a video")
        file.seek(main + _MICROSECONDS_PER_FRAME_AT)
        file.write(struct.pack("<I", round(1e6 / fps)))
        file.seek(stream + _SCALE_AND_RATE_AT)
        file.write(struct.pack("<II", _SCALE, round(fps * _SCALE)))
