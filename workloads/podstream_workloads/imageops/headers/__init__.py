"""What a picture file claims, read before anything decodes it.

Pure Python over a source of bytes: no decoder sees a file that `inspect` has not let through.
"""

from podstream_workloads.imageops.headers.inspection import (
    BadPicture,
    FileFormat,
    Header,
    HeaderLimits,
    PictureTooLarge,
    TooManyFilePixels,
    inspect,
)

__all__ = [
    "BadPicture",
    "FileFormat",
    "Header",
    "HeaderLimits",
    "PictureTooLarge",
    "TooManyFilePixels",
    "inspect",
]
