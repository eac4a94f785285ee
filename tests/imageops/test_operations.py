"""Fast operations against slow ones, the published vectors, and the laws that hold for all."""

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from imageops import slow
from podstream_workloads.imageops.operations.apply import apply_chain
from podstream_workloads.imageops.operations.blur import gaussian, mean, mean_existing_3x3
from podstream_workloads.imageops.operations.colour import convert
from podstream_workloads.imageops.operations.geometry import crop, flip, resize, rotate, turn
from podstream_workloads.imageops.operations.values import (
    Border,
    Convert,
    Crop,
    Flip,
    Gaussian,
    Gray,
    Interpolation,
    Mean,
    QuarterTurn,
    Resize,
    RotateDegrees,
    Space,
    Turn,
)

Picture = NDArray[Any]


@st.composite
def pictures(draw: st.DrawFn, *, side: int = 9, wide: bool = False) -> Picture:
    """Small pictures, gray and colour; flat and extreme ones as often as noise."""
    height, width = draw(st.integers(1, side)), draw(st.integers(1, side))
    shape = (height, width) if draw(st.booleans()) else (height, width, 3)
    top = draw(st.sampled_from([2**8 - 1, 2**16 - 1])) if wide else 2**8 - 1
    dtype = np.min_scalar_type(top)
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    kind = draw(st.sampled_from(["noise", "flat", "extremes"]))
    if kind == "flat":
        return np.full(shape, draw(st.integers(0, top)), dtype)
    if kind == "extremes":
        return rng.choice(np.array([0, 1, top - 1, top], dtype), size=shape)
    return rng.integers(0, top, size=shape, dtype=dtype, endpoint=True)


odd = st.sampled_from([1, 3, 5, 7, 11])


def ramp(*, colour: bool) -> Picture:
    count = 36 if colour else 12
    shape = (4, 3, 3) if colour else (4, 3)
    return np.arange(count, dtype=np.uint8).reshape(shape)


class TestVectors:
    """Of the exercise's public statement: 3 wide, 4 high."""

    def test_mean_gray(self) -> None:
        expected = [[2, 2, 3], [3, 4, 4], [6, 7, 7], [8, 8, 9]]
        assert mean(ramp(colour=False), Mean()).tolist() == expected

    def test_mean_colour(self) -> None:
        assert mean(ramp(colour=True), Mean()).tolist() == [
            [[6, 7, 8], [7, 8, 9], [9, 10, 11]],
            [[10, 11, 12], [12, 13, 14], [13, 14, 15]],
            [[19, 20, 21], [21, 22, 23], [22, 23, 24]],
            [[24, 25, 26], [25, 26, 27], [27, 28, 29]],
        ]

    @pytest.mark.parametrize(
        ("quarters", "expected"),
        [
            (0, [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]]),
            (1, [[2, 5, 8, 11], [1, 4, 7, 10], [0, 3, 6, 9]]),
            (2, [[11, 10, 9], [8, 7, 6], [5, 4, 3], [2, 1, 0]]),
            (3, [[9, 6, 3, 0], [10, 7, 4, 1], [11, 8, 5, 2]]),
        ],
    )
    def test_turns_are_counter_clockwise(self, quarters: int, expected: list[list[int]]) -> None:
        assert turn(ramp(colour=False), quarters=quarters).tolist() == expected

    @pytest.mark.parametrize(
        ("rows", "expected"),
        [
            pytest.param([[7]], [[7]], id="1x1"),
            pytest.param([[1, 2, 4, 8]], [[1, 2, 4, 6]], id="1-high"),
            pytest.param([[1], [2], [4], [8]], [[1], [2], [4], [6]], id="1-wide"),
            pytest.param([[0, 255], [255, 255]], [[191, 191], [191, 191]], id="2x2"),
        ],
    )
    def test_mean_of_tiny_pictures(self, rows: list[list[int]], expected: list[list[int]]) -> None:
        assert mean(np.array(rows, np.uint8), Mean()).tolist() == expected


class TestAgainstSlow:
    @given(pictures(wide=True), st.integers(-5, 9))
    def test_turn(self, picture: Picture, quarters: int) -> None:
        expected = slow.turn(slow.rows_of(picture), quarters)
        assert slow.rows_of(turn(picture, quarters=quarters)) == expected
        out = np.empty_like(turn(picture, quarters=quarters))
        turn(picture, quarters=quarters, out=out)
        assert slow.rows_of(out) == expected

    @given(pictures())
    def test_mean_filter(self, picture: Picture) -> None:
        expected = slow.mean_existing(slow.rows_of(picture))
        assert slow.rows_of(mean(picture, Mean())) == expected
        out = np.empty_like(picture)
        assert slow.rows_of(mean(picture, Mean(), out=out)) == expected

    @given(pictures(wide=True), odd, odd)
    def test_mean_over_existing_neighbours(self, picture: Picture, width: int, height: int) -> None:
        result = mean(picture, Mean(width=width, height=height))
        assert result.dtype == picture.dtype
        expected = slow.mean_existing(slow.rows_of(picture), width=width, height=height)
        assert slow.rows_of(result) == expected

    @given(pictures(), odd, odd, st.sampled_from([b for b in Border if b is not Border.EXISTING]))
    def test_mean_with_border(
        self, picture: Picture, width: int, height: int, border: Border
    ) -> None:
        result = mean(picture, Mean(width=width, height=height, border=border))
        expected = slow.mean_bordered(
            slow.rows_of(picture), width=width, height=height, border=border.value
        )
        assert slow.rows_of(result) == expected

    @given(pictures(), st.booleans(), st.booleans())
    def test_flip(self, picture: Picture, horizontal: bool, vertical: bool) -> None:
        result = flip(picture, Flip(horizontal=horizontal, vertical=vertical))
        expected = slow.flip(slow.rows_of(picture), horizontal=horizontal, vertical=vertical)
        assert slow.rows_of(result) == expected

    @given(pictures(), st.data())
    def test_crop(self, picture: Picture, data: st.DataObject) -> None:
        height, width = picture.shape[:2]
        x, y = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
        wide, tall = data.draw(st.integers(1, width - x)), data.draw(st.integers(1, height - y))
        result = crop(picture, Crop(x=x, y=y, width=wide, height=tall))
        rows = [row[x : x + wide] for row in slow.rows_of(picture)[y : y + tall]]
        assert slow.rows_of(result) == rows

    @given(pictures())
    def test_gray_is_within_one_of_bt_601(self, picture: Picture) -> None:
        colour = np.dstack([picture] * 3) if picture.ndim == 2 else picture
        result = convert(colour, source=Space.RGB, target=Space.GRAY)
        expected = np.array(slow.gray(slow.rows_of(colour)))[:, :, 0]
        assert np.abs(result.astype(int) - expected).max() <= 1


class TestMeanLaws:
    @given(pictures(side=20), st.integers(0, 3))
    def test_mean_filter_and_turns_commute(self, picture: Picture, quarters: int) -> None:
        one = turn(mean(picture, Mean()), quarters=quarters)
        other = mean(turn(picture, quarters=quarters), Mean())
        assert (one == other).all()

    @given(pictures(side=20, wide=True), odd, st.sampled_from(Border))
    def test_stays_between_least_and_most(
        self, picture: Picture, side: int, border: Border
    ) -> None:
        result = mean(picture, Mean(width=side, height=side, border=border))
        assert result.max() <= picture.max()
        if border is not Border.CONSTANT:
            assert result.min() >= picture.min()

    @given(pictures(wide=True), st.sampled_from(Border))
    def test_window_of_one_pixel_is_identity(self, picture: Picture, border: Border) -> None:
        assert (mean(picture, Mean(width=1, height=1, border=border)) == picture).all()

    def test_every_sum_of_nine_is_floored(self) -> None:
        """All 2296 sums, from flat windows to the widest spread, inside a larger picture."""
        rng = np.random.default_rng(3)
        totals = np.repeat(np.arange(9 * 255 + 1), 4)
        tiles = np.zeros((len(totals), 9), np.int64)
        tiles[:] = (totals // 9)[:, None]
        for tile, rest in zip(tiles, totals % 9, strict=True):
            tile[rng.permutation(9)[:rest]] += 1
            for _ in range(4):
                a, b = rng.integers(0, 9, 2)
                moved = min(255 - tile[a], tile[b]) if a != b else 0
                tile[a] += moved
                tile[b] -= moved
        picture = tiles.reshape(-1, 3).astype(np.uint8)
        result = mean_existing_3x3(np.pad(picture, ((0, 0), (1, 1))))
        assert (result[1::3, 2] == totals // 9).all()

    @given(st.integers(3, 40), st.integers(1, 39))
    def test_tiles_with_a_halo_give_the_whole(self, height: int, cut: int) -> None:
        picture = np.random.default_rng(height).integers(0, 256, (height, 11, 3), np.uint8)
        cut = min(cut, height - 1)
        upper = mean(picture[: cut + 1], Mean())[:cut]
        lower = mean(picture[cut - 1 :], Mean())[1:]
        assert (np.vstack([upper, lower]) == mean(picture, Mean())).all()

    def test_a_view_sees_nothing_around_it(self) -> None:
        canvas = np.full((9, 9), 255, np.uint8)
        canvas[3:6, 3:6] = 10
        assert (mean(canvas[3:6, 3:6], Mean()) == 10).all()

    def test_floats_are_refused(self) -> None:
        with pytest.raises(ValueError, match="uint8 or uint16"):
            mean(np.zeros((3, 3), np.float32), Mean())


class TestTurnLaws:
    @given(pictures(side=12, wide=True))
    def test_group_of_quarter_turns(self, picture: Picture) -> None:
        once = turn(picture, quarters=1)
        assert (turn(once, quarters=1) == turn(picture, quarters=2)).all()
        assert (turn(once, quarters=3) == picture).all()
        assert sorted(once.ravel()) == sorted(picture.ravel())

    @pytest.mark.parametrize("shape", [(700, 513), (513, 700, 3), (256, 256, 3), (1, 1000)])
    @pytest.mark.parametrize("quarters", [1, 2, 3])
    def test_pictures_of_several_tiles(self, shape: tuple[int, ...], quarters: int) -> None:
        picture = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
        out = np.empty_like(np.ascontiguousarray(np.rot90(picture, k=quarters)))
        assert turn(picture, quarters=quarters, out=out) is out
        assert (out == np.rot90(picture, k=quarters)).all()

    @given(pictures(), st.integers(-8, 8))
    def test_multiples_of_90_degrees_are_lossless(self, picture: Picture, quarters: int) -> None:
        result = rotate(picture, RotateDegrees(degrees=90.0 * quarters))
        assert (result == np.rot90(picture, k=quarters)).all()

    @pytest.mark.parametrize("sign", [1, -1])
    def test_small_angles_turn_the_same_way_as_quarter_turns(self, sign: int) -> None:
        picture = np.zeros((101, 101), np.uint8)
        picture[48:53, 90:95] = 255  # east of the centre
        result = rotate(picture, RotateDegrees(degrees=30.0 * sign))
        ys, xs = np.nonzero(result > 127)
        dy, dx = ys.mean() - (result.shape[0] - 1) / 2, xs.mean() - (result.shape[1] - 1) / 2
        angle = np.degrees(np.arctan2(-dy, dx))
        assert angle == pytest.approx(30 * sign, abs=1)

    def test_turned_canvas_holds_everything_and_fills_corners(self) -> None:
        picture = np.full((40, 60, 3), 200, np.uint8)
        result = rotate(picture, RotateDegrees(degrees=45, fill=7))
        assert result.shape == (71, 71, 3)
        assert (result[0, 0] == 7).all()
        assert np.count_nonzero(result[:, :, 0] > 100) == pytest.approx(2400, rel=0.03)


class TestOthers:
    @pytest.mark.parametrize("method", Interpolation)
    def test_resize_of_a_flat_picture_is_flat(self, method: Interpolation) -> None:
        picture = np.full((31, 17, 3), 99, np.uint8)
        result = resize(picture, Resize(width=40, height=9, interpolation=method))
        assert result.shape == (9, 40, 3)
        assert (result == 99).all()

    def test_resize_keeps_the_aspect_ratio_when_one_side_is_open(self) -> None:
        picture = np.zeros((100, 200), np.uint8)
        assert resize(picture, Resize(width=50)).shape == (25, 50)
        assert resize(picture, Resize(height=1)).shape == (1, 2)

    def test_area_resize_to_half_is_the_mean_of_four(self) -> None:
        picture = np.random.default_rng(2).integers(0, 256, (8, 6), np.uint8)
        result = resize(picture, Resize(width=3, height=4))
        expected = picture.reshape(4, 2, 3, 2).mean(axis=(1, 3))
        assert np.abs(result - expected).max() <= 0.5

    @pytest.mark.parametrize("sigma", [0.4, 1.0, 3.7])
    def test_gaussian_is_within_one_of_the_float_result(self, sigma: float) -> None:
        picture = np.random.default_rng(4).integers(0, 256, (30, 40), np.uint8)
        radius = int(3 * sigma + 0.5)
        size = 2 * max(radius, 1) + 1
        expected = cv2.GaussianBlur(picture.astype(np.float64), (size, size), sigma)
        result = gaussian(picture, Gaussian(sigma=sigma))
        assert np.abs(result - expected).max() <= 2.0

    @pytest.mark.parametrize("space", Space)
    @settings(max_examples=20)
    @given(picture=pictures())
    def test_colour_spaces_come_back(self, space: Space, picture: Picture) -> None:
        flat = np.broadcast_to(picture.reshape(-1)[0], (4, 5, 3)).astype(np.uint8)
        there = convert(flat, source=Space.RGB, target=space)
        back = convert(there, source=space, target=Space.RGB)
        assert np.abs(back.astype(int) - flat).max() <= 2

    def test_chain_applies_in_order_and_tells_each_step(self) -> None:
        picture = np.random.default_rng(5).integers(0, 256, (7, 9, 3), np.uint8)
        steps: list[int] = []
        result, space = apply_chain(
            picture,
            [
                Crop(x=1, y=2, width=6, height=4),
                QuarterTurn(turn=Turn.NINETY),
                Mean(),
                Gray(),
                Convert(space=Space.RGB),
            ],
            space=Space.RGB,
            on_step=steps.append,
        )
        expected = mean(np.ascontiguousarray(np.rot90(picture[2:6, 1:7])), Mean())
        luma = convert(expected, source=Space.RGB, target=Space.GRAY)
        assert (result == np.dstack([luma] * 3)).all()
        assert space is Space.RGB
        assert steps == [1, 2, 3, 4, 5]

    def test_the_given_picture_is_never_changed(self) -> None:
        picture = np.random.default_rng(6).integers(0, 256, (20, 20, 3), np.uint8)
        before = picture.copy()
        picture.flags.writeable = False
        for operation in (
            QuarterTurn(turn=Turn.ONE_EIGHTY),
            Mean(),
            Gaussian(sigma=1),
            Resize(width=5),
            Flip(horizontal=True),
        ):
            apply_chain(picture, [operation], space=Space.RGB)
        assert (picture == before).all()
