"""The scenes that tracking is judged on."""

from tracking.scenes.walkers import (
    BLACK,
    BLUE,
    BROWN,
    GREEN,
    PURPLE,
    RED,
    TEAL,
    WHITE,
    YELLOW,
    Scene,
    Walker,
    across,
)

_CLOTHES = (
    (RED, BLACK),
    (BLUE, BROWN),
    (GREEN, BLACK),
    (YELLOW, BLUE),
    (WHITE, BROWN),
    (TEAL, RED),
)


def one_by_one() -> Scene:
    """Six people pass one after the other, alternately from the left and the right."""
    walkers = tuple(
        Walker(n + 1, (across(2 + 5 * n, 6.5 + 5 * n, back=n % 2 == 1),), torso=torso, legs=legs)
        for n, (torso, legs) in enumerate(_CLOTHES)
    )
    return Scene(walkers, seconds=33)


def look_alikes() -> Scene:
    """The same six ways, everybody in the same clothes."""
    walkers = tuple(
        Walker(n + 1, (across(2 + 5 * n, 6.5 + 5 * n, back=n % 2 == 1),), torso=RED, legs=BLACK)
        for n in range(6)
    )
    return Scene(walkers, seconds=33)


def crossing() -> Scene:
    """Two pairs meet in the middle and walk on."""
    return Scene(
        (
            Walker(1, (across(1, 9, y=200),), torso=RED, legs=BLACK),
            Walker(2, (across(1, 9, y=208, back=True),), torso=BLUE, legs=BROWN),
            Walker(3, (across(11, 18, y=204),), torso=GREEN, legs=BLUE),
            Walker(4, (across(11.5, 19, y=200, back=True),), torso=YELLOW, legs=BLACK),
        ),
        seconds=20,
    )


def meet_and_return() -> Scene:
    """Two meet, stand before each other for two seconds, and each goes back where they came from.

    Whoever follows motion alone swaps them.
    """
    left = ((1, -20, 200), (5, 145, 200), (7, 150, 200), (11, -20, 200))
    right = ((1, 340, 206), (5, 163, 206), (7, 160, 206), (11, 340, 206))
    return Scene(
        (
            Walker(1, (left,), torso=RED, legs=BLACK),
            Walker(2, (right,), torso=WHITE, legs=BLUE),
        ),
        seconds=12,
    )


def crossing_look_alikes() -> Scene:
    """Two in the same clothes pass each other: only motion tells them apart."""
    return Scene(
        (
            Walker(1, (across(1, 8, y=200),), torso=PURPLE, legs=BLACK),
            Walker(2, (across(1, 8, y=206, back=True),), torso=PURPLE, legs=BLACK),
        ),
        seconds=9,
    )


def standing() -> Scene:
    """One comes, stands for fifteen seconds and leaves."""
    keys = ((2, -20, 205), (5, 150, 205), (20, 152, 205), (24, 340, 205))
    return Scene((Walker(1, (keys,), torso=BLUE, legs=BLACK),), seconds=26)


def leave_and_return() -> Scene:
    """Two people leave and come back later, in another order."""
    return Scene(
        (
            Walker(1, (across(1, 6), across(20, 25, back=True)), torso=RED, legs=BLACK),
            Walker(2, (across(7, 12), across(14, 19, back=True)), torso=WHITE, legs=BLUE),
        ),
        seconds=26,
    )


def changing_light() -> Scene:
    """A lamp goes on at once, later the sun sets slowly, while somebody passes each time."""

    def light(time_s: float) -> tuple[float, float, float]:
        lamp = 1.0 if time_s < 6 else 1.35
        dusk = 1.0 if time_s < 14 else 1.0 - 0.03 * (time_s - 14)
        return lamp * dusk, lamp * dusk, lamp * dusk * (1.0 if time_s < 14 else 1.08)

    return Scene(
        (
            Walker(1, (across(2, 10),), torso=BLUE, legs=BLACK),
            Walker(2, (across(13, 21, back=True),), torso=GREEN, legs=BROWN),
        ),
        seconds=24,
        light=light,
    )


SCENES = {
    "one by one": one_by_one,
    "look-alikes one by one": look_alikes,
    "crossing": crossing,
    "crossing look-alikes": crossing_look_alikes,
    "meet and return": meet_and_return,
    "standing": standing,
    "leave and return": leave_and_return,
    "changing light": changing_light,
}
