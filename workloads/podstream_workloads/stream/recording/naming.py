"""What is a recording called?"""

import re
from datetime import datetime
from pathlib import Path
from typing import Final

PART_SUFFIX: Final = ".part"
"""Ends the name of a file that is being written; a finished file has been renamed."""

_MAX_STEM_CHARS: Final = 90
"""An artefact's name has at most 100."""
_MONTHS: Final = (
    "Jan",
    "Feb",
    "Mar",
    "Apr",
    "May",
    "Jun",
    "Jul",
    "Aug",
    "Sep",
    "Oct",
    "Nov",
    "Dec",
)
_PLACE: Final = re.compile(r"\{(\w+)\}")


def stamp(moment: datetime) -> str:
    """`DD_Mon_HH_MM_SS`, as the original server writes it, in English whatever the locale."""
    return f"{moment:%d}_{_MONTHS[moment.month - 1]}_{moment:%H_%M_%S}"


def file_name(pattern: str, *, session: str, name: str, moment: datetime, index: int) -> str:
    """Fill a pattern in.

    Args:
        pattern: of `spec.stream.recording.fileName`.
        session: the session's UID.
        name: the session's name.
        moment: the first frame's.
        index: of the file within the session, from 1.
    """
    values = {"session": session, "name": name, "time": stamp(moment), "index": f"{index:04d}"}
    return _PLACE.sub(lambda match: values[match[1]], pattern)[:_MAX_STEM_CHARS]


def free_path(folder: Path, stem: str, extension: str) -> Path:
    """A path that neither a finished nor an unfinished file has: `stem`, `stem-2`, `stem-3`, ..."""
    number = 1
    while True:
        suffix = "" if number == 1 else f"-{number}"
        path = folder / f"{stem}{suffix}{extension}"
        if not path.exists() and not path.with_name(path.name + PART_SUFFIX).exists():
            return path
        number += 1
