"""Video files with a ball whose place is known in every frame."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from fakes.balls import Scene, path, render


def write_video(
    place: Path, scene: Scene, *, frames: int, fps: int = 30
) -> list[tuple[float, float]]:
    """Write an MP4 file; the ball's centre in each frame, pixels."""
    rng = np.random.default_rng(1)
    places = list(path(scene, frames, seed=7))
    with av.open(str(place), "w") as container:
        stream: Any = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = scene.width, scene.height, "yuv420p"
        stream.options = {"crf": "4", "preset": "ultrafast", "bf": "0"}
        for number, (x, y) in enumerate(places):
            frame = render(scene, x, y, rng=rng)
            frame.pts, frame.time_base = number, Fraction(1, fps)
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return places
