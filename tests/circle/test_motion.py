import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podstream_core.api import Ball
from podstream_workloads.circle.motion import Motion, fixed_law, random_law


def _motion(ball: Ball, width: int = 640, height: int = 480) -> Motion:
    return Motion(fixed_law(ball), radius=ball.radius, width=width, height=height)


@pytest.mark.parametrize(
    ("frame", "position"),
    [
        pytest.param(0, (40, 40), id="starts in the corner"),
        pytest.param(3, (55, 55), id="three steps"),
        pytest.param(80, (440, 440), id="touches the bottom"),
        pytest.param(81, (445, 435), id="bounces one step inside"),
        pytest.param(112, (600, 280), id="touches the right wall"),
        pytest.param(113, (595, 275), id="bounces off it"),
    ],
)
def test_the_ball_moves_by_the_originals_law(frame: int, position: tuple[float, float]) -> None:
    motion = _motion(Ball(radius=40, speed=5))
    motion.advance(frame)
    assert motion.position == position


def test_skipping_frames_is_the_same_as_drawing_them() -> None:
    one, many = _motion(Ball()), _motion(Ball())
    one.advance(500)
    for _ in range(500):
        many.advance()
    assert one.position == many.position


@given(
    seed=st.integers(0, 2**32),
    radius=st.integers(4, 60),
    speed=st.floats(0, 100),
    width=st.integers(130, 700),
    height=st.integers(130, 500),
)
def test_the_ball_never_leaves_the_picture(
    seed: int, radius: int, speed: float, width: int, height: int
) -> None:
    ball = Ball(radius=radius, speed=speed)
    law = random_law(ball, width=width, height=height, rng=random.Random(seed))
    motion = Motion(law, radius=radius, width=width, height=height)
    for _ in range(200):
        x, y = motion.position
        assert radius <= x <= width - radius
        assert radius <= y <= height - radius
        motion.advance()


def test_no_two_sessions_move_alike() -> None:
    rng = random.SystemRandom()
    laws = {random_law(Ball(), width=640, height=480, rng=rng) for _ in range(50)}
    assert len(laws) == 50
