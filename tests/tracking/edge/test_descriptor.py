import numpy as np
import pytest

from podstream_workloads.tracking.edge import descriptor
from podstream_workloads.tracking.edge.descriptor import Descriptor, from_wire, of_picture, to_wire
from podstream_workloads.tracking.edge.errors import DescriptorRejected
from tracking.scenes.crops import ALTERED, LEAST, people


@pytest.mark.parametrize("altered", sorted(LEAST))
def test_an_altered_copy_is_most_like_its_original(altered: str) -> None:
    originals = people(60)
    known = np.stack([of_picture(one).vector for one in originals])  # type: ignore[union-attr]
    seen = np.stack([of_picture(ALTERED[altered](one)).vector for one in originals])  # type: ignore[union-attr]
    rank_1 = np.mean((seen @ known.T).argmax(axis=1) == np.arange(len(originals)))

    assert rank_1 >= LEAST[altered]


def test_another_picture_is_less_like_it_than_the_same_one() -> None:
    one, other = (of_picture(image) for image in people(2))
    assert one is not None
    assert other is not None

    assert one.distance(one) == pytest.approx(0.0, abs=1e-6)
    assert one.distance(other) > 0.1


def test_what_is_too_small_has_no_descriptor() -> None:
    image = np.zeros((100, 100, 3), np.uint8)

    assert descriptor.describe(image, (0, 0, 7, 50)) is None
    assert descriptor.describe(image, (95, 0, 200, 50)) is None
    assert descriptor.describe(image, (0, 0, 8, 16)) is not None


def test_only_what_moves_counts_where_it_is_known() -> None:
    image = people(1)[0]
    behind = image.copy()
    mask = np.zeros(image.shape[:2], np.uint8)
    mask[:, 5:25] = 255
    behind[:, :5], behind[:, 25:] = (0, 255, 0), (255, 0, 255)
    whole = (0.0, 0.0, 30.0, 80.0)

    one = descriptor.describe(image, whole, foreground=mask)
    other = descriptor.describe(behind, whole, foreground=mask)
    blind = descriptor.describe(behind, whole)

    assert one is not None
    assert other is not None
    assert blind is not None
    assert one @ other > 0.97
    assert one @ blind < one @ other


def test_a_descriptor_survives_the_wire() -> None:
    one = of_picture(people(1)[0])
    assert one is not None
    wire = to_wire(one)

    assert {key: wire[key] for key in ("alg", "version", "dim")} == {
        "alg": "stripes",
        "version": 1,
        "dim": descriptor.DIMENSIONS,
    }
    again = from_wire(wire)
    assert again is not None
    assert again.is_comparable(one)
    assert again.distance(one) < 1e-3
    assert to_wire(again) == wire


def test_a_stock_processors_list_is_compared_with_its_like_only() -> None:
    one, other = from_wire([3, 4.0]), from_wire([4.0, 3.0])
    own = of_picture(people(1)[0])
    assert one is not None
    assert other is not None
    assert own is not None

    assert one.distance(other) == pytest.approx(1 - 24 / 25)
    assert one.is_comparable(other)
    assert not one.is_comparable(own)
    assert not one.is_comparable(Descriptor(np.ones(3, np.float32), alg="", version=0))
    assert to_wire(one) == pytest.approx([0.6, 0.8])


def test_an_empty_map_says_that_none_is_known() -> None:
    assert from_wire({}) is None


@pytest.mark.parametrize(
    "wire",
    [
        None,
        7,
        "text",
        [],
        ["1"],
        [True],
        [0.0, 0.0],
        [10**400],
        [float("nan")],
        [1.0] * 5000,
        {"alg": "stripes"},
        {"alg": "stripes", "version": 1, "dim": 2, "data": "no base64!"},
        {"alg": "stripes", "version": 1, "dim": 3, "data": "AAAA"},
        {"alg": "stripes", "version": 1, "dim": 2, "data": "AAAAAA=="},
        {"alg": "stripes", "version": 1, "dim": 2, "data": "AHwAfA=="},
        {"alg": "stripes", "version": True, "dim": 2, "data": "AAAAAA=="},
        {"alg": "stripes", "version": 1, "dim": 10**9, "data": ""},
    ],
)
def test_what_is_no_feature_map_is_rejected(wire: object) -> None:
    with pytest.raises(DescriptorRejected):
        from_wire(wire)
