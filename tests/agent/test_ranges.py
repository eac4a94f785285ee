"""Parts of a finished file, as RFC 9110, section 14, has them."""

import pytest
from aiohttp.test_utils import make_mocked_request

from podstream_workloads.agent.errors import Refusal
from podstream_workloads.agent.ranges import requested_part


def part(**headers: str) -> range | None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return requested_part(make_mocked_request("GET", "/", headers=named), size=10, sha256="abc")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("bytes=0-3", range(4), id="first"),
        pytest.param("bytes=4-", range(4, 10), id="rest"),
        pytest.param("bytes=-3", range(7, 10), id="last"),
        pytest.param("bytes=0-", range(10), id="all-as-a-part"),
        pytest.param("bytes=8-99", range(8, 10), id="longer-than-the-file"),
        pytest.param("bytes=0-1,4-5", None, id="several"),
        pytest.param("pages=1-2", None, id="another-unit"),
        pytest.param("bytes=3-1", None, id="backwards"),
    ],
)
def test_a_range_is_followed_where_it_can_be(text: str, found: range | None) -> None:
    assert part(Range=text) == found


def test_without_a_range_the_file_is_whole() -> None:
    assert part() is None


def test_a_part_of_another_version_is_not_sent() -> None:
    assert part(Range="bytes=0-3", If_Range='"abc"') == range(4)
    assert part(Range="bytes=0-3", If_Range='"old"') is None


def test_behind_the_end_there_is_nothing() -> None:
    with pytest.raises(Refusal) as refusal:
        part(Range="bytes=10-")
    assert refusal.value.status == 416
