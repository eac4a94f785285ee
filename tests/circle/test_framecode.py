import numpy as np
import pytest

from podstream_workloads.circle import framecode
from podstream_workloads.circle.draw import Canvas, YuvColor
from podstream_workloads.circle.estimators import luma
from podstream_workloads.circle.score import Score
from podstream_workloads.circle.truth import Truth

GREEN = YuvColor.from_rgb(0, 255, 0)


@pytest.mark.parametrize("number", [0, 1, 255, 256, 65_535])
def test_a_drawn_number_is_read_wherever_the_ball_is(number: int) -> None:
    canvas = Canvas(width=320, height=240, radius=20, color=GREEN)
    for place in ((200.0, 100.0), (25.5, 22.25), (60.0, 24.0)):
        assert framecode.read(luma(canvas.draw(*place, number=number))) == number


def test_numbers_go_round() -> None:
    picture = np.zeros((64, 64), np.uint8)
    picture[:24, :64] = framecode.blocks(65_536 + 7)
    assert framecode.read(picture) == 7


def test_noise_and_blur_are_read_and_damage_is_noticed() -> None:
    rng = np.random.default_rng(1)
    picture = np.full((240, 320), 16.0)
    picture[:24, :64] = framecode.blocks(4711)
    noisy = np.clip(picture + rng.normal(0, 20, picture.shape), 0, 255).astype(np.uint8)
    assert framecode.read(noisy) == 4711
    damaged = picture.astype(np.uint8)
    for row in range(3):
        for column in range(8):
            flipped = damaged.copy()
            box = np.s_[8 * row : 8 * row + 8, 8 * column : 8 * column + 8]
            flipped[box] = 251 - flipped[box]
            assert framecode.read(flipped) is None


@pytest.mark.parametrize(
    "picture",
    [
        pytest.param(np.full((240, 320), 16, np.uint8), id="black"),
        pytest.param(np.full((240, 320), 126, np.uint8), id="grey"),
        pytest.param(np.full((240, 320), 235, np.uint8), id="white"),
        pytest.param(np.full((16, 320), 16, np.uint8), id="too low"),
    ],
)
def test_a_picture_without_a_code_has_no_number(picture: np.ndarray) -> None:
    assert framecode.read(picture) is None


def test_agreement_is_counted_modulo_the_codes_range() -> None:
    score = Score()
    truth = Truth(65_536 + 3, 0, 0, drawn_at=0)
    score.compare_code(3, truth)
    score.compare_code(4, truth)
    figures = score.results(codec=None, unsettled=0)
    assert (figures.codes_agreed, figures.codes_differed) == (1, 1)
