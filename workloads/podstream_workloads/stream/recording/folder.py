"""The folder of a session's recordings: what they take of it, and whether there is room."""

import errno
import shutil
from pathlib import Path
from typing import Final

from podstream_core.api import StopReason

RESERVE_BYTES: Final = 8 << 20
"""Kept free, so that a file can still be finished: its index, and what the muxer holds back."""
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Stopped(Exception):
    """A recording cannot go on; the message says why and what to do."""

    def __init__(self, reason: StopReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def make_folder(folder: Path) -> None:
    """Make the folder where it does not exist.

    Raises:
        Stopped: it cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise stopped_by(error, folder) from error


def check_room(folder: Path, *, used: int, max_bytes: int) -> None:
    """Find out whether a recording may go on.

    Args:
        folder: of the recordings.
        used: bytes of all files of the session.
        max_bytes: of its budget.

    Raises:
        Stopped: the budget is used up, or the disk is.
    """
    if used >= max_bytes:
        raise Stopped(
            StopReason.BUDGET,
            f"recordings have {used} of {max_bytes} bytes: raise spec.stream.recording.maxBytes",
        )
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise stopped_by(error, folder) from error
    if free < RESERVE_BYTES:
        raise Stopped(
            StopReason.DISK_FULL,
            f"the disk of the recordings has {free} bytes left: use a larger volume",
        )


def stopped_by(error: OSError, folder: Path) -> Stopped:
    """What an error of the disk means for a recording."""
    cause = error.strerror or str(error)
    if error.errno in _FULL:
        message = f"the disk of the recordings is full ({cause}): use a larger volume"
        return Stopped(StopReason.DISK_FULL, message)
    return Stopped(
        StopReason.STORAGE,
        f"recordings cannot be written to {folder} ({cause}): check spec.stream.recording.volume, "
        "which has to let group 65532 write",
    )
