"""The text format of the MOT challenge: `frame,id,left,top,width,height,confidence,...`.

Frames count from 1. In a file of truth the seventh column says whether a box counts; zero leaves
it out, as the challenge's own tools do.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeAlias

Rect: TypeAlias = tuple[float, float, float, float]
"""x1, y1, x2, y2 in pixels."""

Sequence: TypeAlias = Mapping[int, Mapping[int, Rect]]
"""Rectangles by id by frame."""

MOST_BYTES: Final = 64 << 20
_COLUMNS = 6


class MotError(ValueError):
    """A file that is not in the format; names the line."""


def read_mot(path: Path) -> dict[int, dict[int, Rect]]:
    """Read a file of truth or results.

    Raises:
        MotError: a line is not in the format, an id is twice in a frame, the file is over 64 MiB.
        OSError: the file cannot be read.
    """
    if path.stat().st_size > MOST_BYTES:
        raise MotError(f"more than {MOST_BYTES} bytes")
    frames: dict[int, dict[int, Rect]] = {}
    with path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            frame, identity, rect, counts = _parse(line, number)
            boxes = frames.setdefault(frame, {})
            if not counts:
                continue
            if identity in boxes:
                raise MotError(f"line {number}: id {identity} is twice in frame {frame}")
            boxes[identity] = rect
    return frames


def _parse(line: str, number: int) -> tuple[int, int, Rect, bool]:
    try:
        values = [float(part) for part in line.split(",")]
        frame, identity = int(values[0]), int(values[1])
        left, top, width, height = values[2:_COLUMNS]
    except (ValueError, IndexError, OverflowError) as error:
        raise MotError(f"line {number}: frame,id,left,top,width,height expected") from error
    if frame < 1 or width <= 0 or height <= 0 or not all(map(math.isfinite, values)):
        raise MotError(f"line {number}: frames count from 1 and boxes have a size")
    counts = len(values) <= _COLUMNS or values[_COLUMNS] != 0
    return frame, identity, (left, top, left + width, top + height), counts


def write_mot(path: Path, sequence: Sequence) -> None:
    """Write results, one line per box, frames and ids in order."""
    with path.open("w", encoding="utf-8") as out:
        for frame in sorted(sequence):
            for identity in sorted(sequence[frame]):
                x1, y1, x2, y2 = sequence[frame][identity]
                box = f"{x1:.2f},{y1:.2f},{x2 - x1:.2f},{y2 - y1:.2f}"
                out.write(f"{frame},{identity},{box},1,-1,-1,-1\n")
