"""Faces drawn from numbers: one seed is one person, with the same face in every picture of it.

No photograph and no data set is involved. Shapes are drawn at four times their size and scaled
down; skin is shaded (light forehead, nose ridge and cheeks, dark eye sockets and jaw), which is
what Haar cascades look for. `alter` makes the copies a camera would: other scale, light, angle
and JPEG strength.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

SIDE = 240
"""Pixels of a portrait's side."""
_UP = 3

_SKINS = (
    (150, 190, 235), (130, 170, 220), (110, 150, 205), (90, 125, 180), (85, 115, 165),
    (100, 130, 175), (160, 200, 240), (120, 160, 225),
)  # fmt: skip
_HAIRS = (
    (20, 20, 25), (30, 45, 70), (50, 80, 120), (90, 150, 200), (40, 60, 140), (150, 150, 155),
)  # fmt: skip
_IRISES = ((60, 40, 25), (120, 80, 40), (60, 110, 60), (40, 60, 90), (110, 110, 100))


@dataclass(frozen=True, slots=True)
class Person:
    """What a seed decides; lengths in units of half the face's width."""

    seed: int
    skin: tuple[int, int, int]
    hair: tuple[int, int, int]
    iris: tuple[int, int, int]
    length: float
    jaw: float
    eye_gap: float
    eye_size: float
    eye_open: float
    eye_tilt: float
    brow_height: float
    brow_thick: float
    brow_tilt: float
    nose_length: float
    nose_width: float
    mouth_drop: float
    mouth_width: float
    lip: float
    smile: float
    fringe: float
    parting: float
    beard: float
    moustache: float
    glasses: bool
    moles: tuple[tuple[float, float], ...]


def person(seed: int) -> Person:
    """The person of this seed, always the same."""
    rng = np.random.default_rng(seed)
    skins, hairs, irises = _SKINS, _HAIRS, _IRISES
    between = rng.uniform
    return Person(
        seed=seed,
        skin=skins[rng.integers(len(skins))],
        hair=hairs[rng.integers(len(hairs))],
        iris=irises[rng.integers(len(irises))],
        length=between(1.2, 1.45),
        jaw=between(0.72, 1.0),
        eye_gap=between(0.36, 0.5),
        eye_size=between(0.15, 0.22),
        eye_open=between(0.4, 0.75),
        eye_tilt=between(-10, 10),
        brow_height=between(0.2, 0.36),
        brow_thick=between(0.04, 0.12),
        brow_tilt=between(-14, 14),
        nose_length=between(0.38, 0.62),
        nose_width=between(0.16, 0.32),
        mouth_drop=between(0.72, 0.95),
        mouth_width=between(0.28, 0.52),
        lip=between(0.05, 0.13),
        smile=between(-0.08, 0.14),
        fringe=between(0.55, 1.0),
        parting=between(-0.6, 0.6),
        beard=float(rng.choice([0.0, 0.0, 0.35, 0.7])),
        moustache=float(rng.choice([0.0, 0.0, 0.0, 0.8])),
        glasses=bool(rng.random() < 0.2),
        moles=tuple(
            (between(-0.6, 0.6), between(0.1, 0.8)) for _ in range(int(rng.integers(0, 3)))
        ),
    )


def portrait(who: Person, *, background: int = 128) -> Any:
    """Head and shoulders of a person, `SIDE` pixels square, BGR uint8."""
    size = SIDE * _UP
    rng = np.random.default_rng(who.seed + 7)
    image = np.full((size, size, 3), background, np.uint8)
    unit = size * 0.27
    centre = np.array([size / 2, size * 0.50])

    def at(x: float, y: float) -> tuple[int, int]:
        return int(centre[0] + x * unit), int(centre[1] + y * unit)

    def ellipse(
        x: float, y: float, a: float, b: float, colour: Any, *, angle: float = 0.0,
        start: float = 0, end: float = 360, thick: int = -1, on: Any = None,
    ) -> None:  # fmt: skip
        cv2.ellipse(
            image if on is None else on,
            at(x, y), (max(1, int(a * unit)), max(1, int(b * unit))), angle, start, end,
            colour, thick, cv2.LINE_AA,
        )  # fmt: skip

    skin = np.array(who.skin, float)
    dark = tuple(skin * 0.62)
    shirt = tuple(int(v) for v in rng.integers(30, 220, 3))
    ellipse(0, 2.35, 1.7, 1.0, shirt)
    cv2.rectangle(image, at(-0.42, 0.7), at(0.42, 1.6), tuple(skin * 0.75), -1)
    ellipse(0, -0.28, 1.16, who.length * 0.98, who.hair)
    # The face: upper ellipse and a jaw.
    ellipse(0, -0.05, 1.0, who.length * 0.86, who.skin)
    ellipse(0, 0.42, who.jaw, who.length * 0.62, who.skin)
    ellipse(-1.0, 0.05, 0.13, 0.24, tuple(skin * 0.85))
    ellipse(1.0, 0.05, 0.13, 0.24, tuple(skin * 0.85))

    # Shading, as soft additive light.
    shade = np.zeros((size, size, 3), np.float32)
    for x, y, a, b, gain in (
        (0, -0.55, 0.7, 0.3, 0.10), (0, 0.2, 0.12, 0.4, 0.16), (-0.55, 0.38, 0.28, 0.24, 0.12),
        (0.55, 0.38, 0.28, 0.24, 0.12), (0, 1.02, 0.25, 0.14, 0.08),
        (-who.eye_gap, -0.12, 0.3, 0.2, -0.22), (who.eye_gap, -0.12, 0.3, 0.2, -0.22),
        (0, 0.78, 0.45, 0.1, -0.06), (-0.95, 0.3, 0.18, 0.8, -0.22), (0.95, 0.3, 0.18, 0.8, -0.22),
    ):  # fmt: skip
        part = np.zeros((size, size), np.float32)
        ellipse(x, y, a, b, 1.0, on=part)
        shade += cv2.GaussianBlur(part, (0, 0), unit * 0.09)[:, :, None] * gain * skin
    image = np.clip(image + shade, 0, 255).astype(np.uint8)

    if who.beard:
        layer = image.copy()
        ellipse(0, 0.62, who.jaw * 0.98, who.length * 0.5, who.hair, start=0, end=180, on=layer)
        image = cv2.addWeighted(layer, who.beard, image, 1 - who.beard, 0)
    # Hair over the forehead.
    ellipse(who.parting * 0.3, -who.length * 0.82, 1.0, who.length * 0.42 * who.fringe, who.hair)
    for side in (-1, 1):
        x = side * who.eye_gap
        tilt = side * who.eye_tilt
        ellipse(x, -0.05, who.eye_size * 1.15, who.eye_size * who.eye_open * 1.3, dark, angle=tilt)
        white = (235, 238, 240)
        ellipse(x, -0.05, who.eye_size, who.eye_size * who.eye_open, white, angle=tilt)
        ellipse(x, -0.05, who.eye_size * 0.5, who.eye_size * min(0.5, who.eye_open), who.iris)
        ellipse(x, -0.05, who.eye_size * 0.24, who.eye_size * 0.24, (10, 10, 10))
        ellipse(x + 0.03, -0.08, 0.025, 0.025, (250, 250, 250))
        lid = tuple(skin * 0.4)
        ellipse(
            x, -0.05, who.eye_size * 1.1, who.eye_size * who.eye_open * 1.1, lid, angle=tilt,
            start=180, end=360, thick=int(unit * 0.035),
        )  # fmt: skip
        ellipse(
            x, -0.05 - who.brow_height, who.eye_size * 1.5, who.brow_thick, who.hair,
            angle=side * who.brow_tilt,
        )  # fmt: skip
        nostril = tuple(skin * 0.4)
        tip = who.nose_length
        ellipse(side * who.nose_width * 0.5, tip, who.nose_width * 0.28, 0.05, nostril)
        ellipse(
            side * who.nose_width * 0.8, tip - 0.05, who.nose_width * 0.35, 0.1, dark,
            start=-90 if side > 0 else 90, end=90 if side > 0 else 270, thick=int(unit * 0.02),
        )  # fmt: skip
    mouth = who.mouth_drop
    lips = tuple(np.clip(skin * (0.62, 0.6, 0.92), 0, 255))
    ellipse(0, mouth, who.mouth_width, who.lip, lips)
    cv2.polylines(
        image,
        [np.array([
            at(t * who.mouth_width, mouth - who.smile * (t * t) + 0.2 * who.lip)
            for t in np.linspace(-1, 1, 15)
        ])],
        False, tuple(skin * 0.28), int(unit * 0.03), cv2.LINE_AA,
    )  # fmt: skip
    if who.moustache:
        ellipse(0, mouth - who.lip - 0.06, who.mouth_width * 0.9, 0.06, who.hair)
    for x, y in who.moles:
        ellipse(x, y, 0.035, 0.035, tuple(skin * 0.35))
    if who.glasses:
        for side in (-1, 1):
            ellipse(
                side * who.eye_gap, -0.03, 0.29, 0.22, (25, 25, 25), thick=int(unit * 0.035),
            )  # fmt: skip
        cv2.line(image, at(-0.12, -0.06), at(0.12, -0.06), (25, 25, 25), int(unit * 0.035))
    soft = cv2.GaussianBlur(image, (0, 0), 1.4)
    return cv2.resize(soft, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def alter(
    picture: Any,
    *,
    scale: float = 1.0,
    gain: float = 1.0,
    gamma: float = 1.0,
    side_light: float = 0.0,
    angle: float = 0.0,
    jpeg: int | None = None,
) -> Any:
    """A copy as another camera would have it.

    Args:
        picture: BGR uint8.
        scale: of its size.
        gain: of its brightness.
        gamma: of its brightness.
        side_light: -1 to 1, how much darker one side is.
        angle: degrees, counter-clockwise, about the middle.
        jpeg: quality, 1 to 100; `None` leaves it as it is.
    """
    height, width = picture.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1.0)
    copy = cv2.warpAffine(picture, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
    light = (copy / 255.0) ** gamma * gain
    side = 1 + side_light * np.linspace(-0.5, 0.5, width)[None, :, None]
    copy = np.clip(light * side * 255, 0, 255).astype(np.uint8)
    copy = cv2.resize(copy, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    if jpeg is not None:
        _, data = cv2.imencode(".jpg", copy, [cv2.IMWRITE_JPEG_QUALITY, jpeg])
        copy = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))
    return copy


ALTERATIONS: dict[str, dict[str, Any]] = {
    "half the size": {"scale": 0.5},
    "twice the size": {"scale": 2.0},
    "dark": {"gain": 0.5},
    "bright": {"gain": 1.35},
    "gamma 1.6": {"gamma": 1.6},
    "gamma 0.6": {"gamma": 0.6},
    "light from a side": {"side_light": 0.8},
    "turned 15 left": {"angle": 15.0},
    "turned 15 right": {"angle": -15.0},
    "turned 8": {"angle": 8.0},
    "JPEG 60": {"jpeg": 60},
    "all at once": {"scale": 0.6, "gain": 0.7, "side_light": 0.4, "angle": -12.0, "jpeg": 60},
}
