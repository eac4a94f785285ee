"""Plays a video file at its own rate, once or without end."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import av

from podstream_core.api import Stream, StreamFile
from podstream_workloads.stream.sources.decoding import (
    Decoded,
    Scaler,
    SourceError,
    frames_of,
    video_of,
)
from podstream_workloads.stream.sources.outlet import Outlet

_RATE: Final = 25.0
"""Of a video that does not say."""
_OPTIONS: Final = {"protocol_whitelist": "file"}
"""A playlist in place of a film opens no connection."""


def find_file(file: StreamFile, *, volume: Path) -> Path:
    """Where the file is: on the claim, or in the image.

    Raises:
        SourceError: it is not there, or outside of the claim.
    """
    if file.claim_name is None:
        path = Path(file.path)
        if not path.is_absolute():
            raise SourceError(
                f"{file.path} is no absolute path: name one of the image, or set file.claimName"
            )
    else:
        path = (volume / file.path.lstrip("/")).resolve()
        if not path.is_relative_to(volume.resolve()):
            raise SourceError(f"{file.path} leads out of the claim {file.claim_name}")
    if not path.is_file():
        place = "the image" if file.claim_name is None else f"the claim {file.claim_name}"
        raise SourceError(f"{place} has no file {file.path}")
    return path


def play(path: Path, outlet: Outlet, *, spec: Stream, loop: bool) -> None:
    """Hand over every frame when its time has come.

    No frame is left out: where decoding is too slow for the file's rate, it plays more slowly.

    Raises:
        SourceError: the file cannot be played.
    """
    scaler = Scaler(spec.width, spec.height)
    due = time.monotonic()
    while True:
        count = 0
        for item, wait in _paced(path, scaler):
            due = max(due + wait, time.monotonic() - wait)
            if not outlet.sleep(due) or not outlet.put(item.frame, size=item.size):
                return
            count += 1
        if not count:
            raise SourceError(f"{path.name}: no frame of it can be decoded")
        if not loop:
            return


def _paced(path: Path, scaler: Scaler) -> Iterator[tuple[Decoded, float]]:
    """Frames with the seconds that each comes after the one before it."""
    try:
        with av.open(f"file:{path}", options=_OPTIONS) as container:
            interval = 1 / float(video_of(container).average_rate or _RATE)
            last: float | None = None
            for item in frames_of(container, scaler):
                wait = interval
                if item.seconds is not None:
                    if last is not None:
                        wait = max(item.seconds - last, 0.0)
                    last = item.seconds
                yield item, wait
    except av.FFmpegError as error:
        raise SourceError(f"{path.name}: {error.strerror}") from error
    except SourceError as error:
        raise SourceError(f"{path.name}: {error}") from error
