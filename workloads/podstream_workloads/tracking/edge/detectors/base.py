"""What every detector is: a picture goes in, rectangles come out.

Detectors are called from one thread at a time; OpenCV and onnxruntime release the interpreter's
lock while they work.
"""

from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Picture: TypeAlias = NDArray[np.uint8]
"""Height x width x 3, BGR, as OpenCV has it."""

Rect: TypeAlias = tuple[float, float, float, float]
"""x1, y1, x2, y2 in pixels of the whole picture; x2 and y2 lie outside."""


@dataclass(frozen=True, slots=True)
class Detection:
    """One thing in one picture."""

    rect: Rect
    score: float
    """Certainty, 0 to 1; what it means is the detector's own matter."""
    label: str
    """Kind of thing, such as `person`."""


class Detector(Protocol):
    """Finds things in a picture."""

    @property
    def name(self) -> str:
        """The detector's name in logs and results: `motion`, `onnx`, `hog`, `haar`."""
        ...

    @property
    def version(self) -> str:
        """What results depend on besides the settings: library, and the model's digest."""
        ...

    def detect(self, image: Picture) -> list[Detection]:
        """Things in the picture, in no particular order; empty where there are none.

        Args:
            image: height x width x 3, BGR, 8 bit; not written to.
        """
        ...
