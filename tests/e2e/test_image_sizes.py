"""What the images weigh on a node, against the edge image of the original intruder detection."""

import pytest

from bench.bench_image_size import ORIGINAL, TARGET, sizes

pytestmark = [pytest.mark.e2e]


@pytest.mark.parametrize("image", ["session", "session-tracking"])
def test_session_images_weigh_at_most_three_tenths_of_the_original(image: str) -> None:
    found = sizes()[image]
    print(f"{image}: {found / 1e6:.0f} MB, {found / ORIGINAL:.3f} of {ORIGINAL / 1e6:.0f} MB")
    assert found <= TARGET * ORIGINAL
