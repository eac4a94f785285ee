"""A chain is planned before a pixel is touched."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podstream_workloads.imageops.operations.apply import apply_chain
from podstream_workloads.imageops.operations.plan import (
    ChainError,
    Shape,
    TooLarge,
    plan_chain,
    quarter_turns,
)
from podstream_workloads.imageops.operations.values import (
    Border,
    Convert,
    Crop,
    Flip,
    Gaussian,
    Gray,
    Mean,
    Operation,
    QuarterTurn,
    Resize,
    RotateDegrees,
    Space,
    Turn,
)

RGB_8x6 = Shape(width=8, height=6, space=Space.RGB)


def plan(*operations: Operation, shape: Shape = RGB_8x6, max_pixels: int = 10_000) -> Shape:
    return plan_chain(operations, shape=shape, max_pixels=max_pixels).shape


operations = st.one_of(
    st.builds(QuarterTurn, turn=st.sampled_from(Turn)),
    st.builds(RotateDegrees, degrees=st.floats(-360, 360)),
    st.builds(Mean, width=st.sampled_from([1, 3, 5]), height=st.sampled_from([1, 3, 5])),
    st.builds(Gaussian, sigma=st.floats(0.1, 3)),
    st.builds(Resize, width=st.integers(0, 30), height=st.integers(1, 30)),
    st.builds(Crop, width=st.integers(1, 8), height=st.integers(1, 8)),
    st.builds(Flip, horizontal=st.booleans(), vertical=st.booleans()),
    st.builds(Gray),
    st.builds(Convert, space=st.sampled_from(Space)),
)


@given(st.lists(operations, max_size=4), st.sampled_from([1, 2]))
def test_what_is_planned_is_what_comes_out(chain: list[Operation], depth: int) -> None:
    picture = np.zeros((6, 8, 3), np.uint8 if depth == 1 else np.uint16)
    start = Shape(width=8, height=6, space=Space.RGB, bytes_per_value=depth)
    try:
        planned = plan_chain(chain, shape=start, max_pixels=10_000).shape
    except ChainError:
        return
    result, space = apply_chain(picture, chain, space=Space.RGB)
    assert result.shape[:2] == (planned.height, planned.width)
    assert space is planned.space
    assert result.nbytes == planned.size


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        pytest.param(Mean(width=2), "odd window sides", id="even-kernel"),
        pytest.param(Crop(x=5, width=4, height=1), "does not lie inside", id="crop-outside"),
        pytest.param(Crop(width=0, height=1), "does not lie inside", id="crop-empty"),
        pytest.param(Resize(), "needs a width or a height", id="resize-to-nothing"),
        pytest.param(Gaussian(sigma=1, border=Border.EXISTING), "no border Existing", id="gauss"),
    ],
)
def test_refused_with_step_and_cause(operation: Operation, message: str) -> None:
    with pytest.raises(ChainError, match=f"operation 2: .*{message}"):
        plan(Flip(), operation)


def test_gray_of_lab_is_refused() -> None:
    with pytest.raises(ChainError, match="gray needs Rgb"):
        plan(Convert(space=Space.LAB), Gray())


def test_lab_of_sixteen_bits_is_refused() -> None:
    deep = Shape(width=2, height=2, space=Space.RGB, bytes_per_value=2)
    with pytest.raises(ChainError, match="needs 8 bits"):
        plan(Convert(space=Space.LAB), shape=deep)


def test_growth_is_refused_before_it_happens() -> None:
    with pytest.raises(TooLarge, match="operation 1 would give 101x100 Rgb"):
        plan(Resize(width=101, height=100))
    with pytest.raises(TooLarge, match="sides are 1 to"):
        plan(
            Resize(height=2), shape=Shape(width=65535, height=1, space=Space.GRAY), max_pixels=9**9
        )


def test_wide_pictures_turn_by_quarters_only() -> None:
    wide = Shape(width=40_000, height=1, space=Space.GRAY)
    assert plan(RotateDegrees(degrees=90), shape=wide, max_pixels=10**6).height == 40_000
    with pytest.raises(TooLarge, match="32766"):
        plan(RotateDegrees(degrees=1), shape=wide, max_pixels=10**9)


def test_chains_have_an_end() -> None:
    plan(*[Flip()] * 64)
    with pytest.raises(ChainError, match="at most 64"):
        plan(*[Flip()] * 65)


def test_peak_counts_input_and_output_of_the_widest_step() -> None:
    planned = plan_chain([Resize(width=16, height=12), Gray()], shape=RGB_8x6, max_pixels=10_000)
    assert planned.peak_bytes == 16 * 12 * 3 + 16 * 12


@pytest.mark.parametrize(
    ("degrees", "quarters"),
    [(0, 0), (90, 1), (-90, 3), (450, 1), (-720, 0), (180.0, 2), (89.999, None), (1e-9, None)],
)
def test_quarter_turns_of_degrees(degrees: float, quarters: int | None) -> None:
    assert quarter_turns(degrees) == quarters
