import pytest

from podstream_router.admission import _MAX_SOURCES, Places, RateLimit
from podstream_router.errors import Overloaded, TooManyRequests


def test_place_is_given_back() -> None:
    places = Places(total=1, per_source=1)
    for _ in range(3):
        with places.place("a"):
            assert places.count == 1
    assert places.count == 0
    assert not places._taken


def test_places_are_bounded_in_total_and_per_source() -> None:
    places = Places(total=2, per_source=1)
    with places.place("a"):
        with pytest.raises(TooManyRequests), places.place("a"):
            pass
        with places.place("b"), pytest.raises(Overloaded), places.place("c"):
            pass


def test_rate_is_limited_per_source_and_recovers() -> None:
    now = 0.0
    limit = RateLimit(per_second=2, clock=lambda: now)
    for _ in range(4):
        limit.spend("a")
    with pytest.raises(TooManyRequests):
        limit.spend("a")
    limit.spend("b")
    now = 0.5
    limit.spend("a")
    with pytest.raises(TooManyRequests):
        limit.spend("a")


def test_rate_of_zero_limits_nothing() -> None:
    limit = RateLimit(per_second=0, clock=lambda: 0.0)
    for _ in range(1000):
        limit.spend("a")


def test_memory_for_sources_is_bounded() -> None:
    limit = RateLimit(per_second=1, clock=lambda: 0.0)
    for number in range(_MAX_SOURCES + 50):
        limit.spend(str(number))
    assert len(limit._buckets) == _MAX_SOURCES
