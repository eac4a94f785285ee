"""Draws what the demo's cameras see and whom its cloud knows; runs in pods beside `rendered_faces`.

    python drawn.py faces FOLDER                     one picture per known person
    python drawn.py clip NUMBER COUNT SHOWN FILE     the clip of one of so many cameras

Every clip begins with an empty room, into which a known person comes and goes. The last camera sees
a stranger after that. Each scene is shown for SHOWN pictures. Faces are drawn, nobody is shown.
"""

import sys
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

# In the pods both lie in one folder.
from rendered_faces import person, portrait  # type: ignore[import-not-found]

KNOWN: Final = (0, 1, 2, 3)
STRANGER: Final = 20
FPS: Final = 2
_WALL: Final = 128  # grey, as behind the portraits
_WIDTH, _HEIGHT = 640, 360


def faces(folder: Path) -> None:
    """Write the pictures of known persons."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in KNOWN:
        cv2.imwrite(str(folder / f"person{seed}.png"), portrait(person(seed)))


def clip(number: int, *, count: int, shown: int, file: Path) -> None:
    """Write what camera `number` (from 1) of `count` sees."""
    seen = [room(), room(portrait(person(KNOWN[(number - 1) % len(KNOWN)]))), room()]
    if number == count:
        seen += [room(portrait(person(STRANGER))), room()]
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"mp4v"), FPS, (_WIDTH, _HEIGHT))
    for scene in seen:
        for _ in range(shown):
            writer.write(scene)
    writer.release()


def room(guest: Any = None) -> Any:
    """A room, BGR uint8; somebody's portrait in its middle."""
    scene = np.full((_HEIGHT, _WIDTH, 3), _WALL, np.uint8)
    if guest is not None:
        height, width = guest.shape[:2]
        top, left = (_HEIGHT - height) // 2, (_WIDTH - width) // 2
        scene[top : top + height, left : left + width] = guest
    return scene


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["faces", folder]:
            faces(Path(folder))
        case ["clip", number, count, shown, file]:
            clip(int(number), count=int(count), shown=int(shown), file=Path(file))
        case _:
            sys.exit(__doc__)
