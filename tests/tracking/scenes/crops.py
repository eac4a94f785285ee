"""Crops of rendered people, and what another light or codec makes of them."""

from collections.abc import Callable

import cv2
import numpy as np

from podstream_workloads.tracking.edge.detectors.base import Picture
from tracking.scenes.walkers import Scene, Walker, draw

Alter = Callable[[Picture], Picture]


def people(count: int) -> list[Picture]:
    """Crops of rendered people in clothes of random colours."""
    rng = np.random.default_rng(5)
    room = next(Scene((), seconds=0.1).render())[0].image
    crops = []
    for identity in range(count):
        torso, legs = (tuple(int(c) for c in rng.integers(20, 230, 3)) for _ in range(2))
        picture = room.copy()
        walker = Walker(identity, (), torso=torso, legs=legs)  # type: ignore[arg-type]
        draw(picture, walker, (150, 205), phase=float(rng.uniform(0, 6)))
        crops.append(picture[125:205, 135:165].copy())
    return crops


def light(*gains: float) -> Alter:
    return lambda image: np.clip(image * np.array(gains), 0, 255).astype(np.uint8)


def gamma(power: float) -> Alter:
    return lambda image: (255.0 * (image / 255.0) ** power).astype(np.uint8)


def mirrored(image: Picture) -> Picture:
    return np.ascontiguousarray(image[:, ::-1])


def jpeg(quality: int) -> Alter:
    def alter(image: Picture) -> Picture:
        _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), dtype=np.uint8)

    return alter


def altogether(image: Picture) -> Picture:
    for alter in (mirrored, light(0.6, 0.6, 0.6), gamma(1.4), light(0.7, 1.0, 1.3), jpeg(25)):
        image = alter(image)
    return image


ALTERED: dict[str, Alter] = {
    "mirrored": mirrored,
    "darker": light(0.5, 0.5, 0.5),
    "gamma": gamma(1.6),
    "warm": light(0.7, 1.0, 1.3),
    "all and jpeg 25": altogether,
}
LEAST = {
    "mirrored": 0.95,
    "darker": 0.95,
    "gamma": 0.95,
    "warm": 0.85,
    "all and jpeg 25": 0.7,
}
"""Targets of rank-1."""
