"""Chunks that move beside their call: in order, one ahead, nothing under way afterwards."""

import concurrent.futures
import threading
from collections.abc import Iterator

import pytest

from podstream_workloads.imageops.service.overlap import Mover, ahead

TIMEOUT_S = 30.0


@pytest.fixture
def threads() -> Iterator[concurrent.futures.Executor]:
    with concurrent.futures.ThreadPoolExecutor(4) as made:
        yield made


def test_the_caller_goes_on_while_one_piece_is_under_way(
    threads: concurrent.futures.Executor,
) -> None:
    is_free = threading.Event()
    seen: list[int] = []

    def slow() -> None:
        assert is_free.wait(TIMEOUT_S)
        seen.append(1)

    with Mover(threads) as mover:
        mover.begin(slow)
        assert not seen
        is_free.set()
        mover.begin(lambda: seen.append(2))
        assert seen[:1] == [1], "the second begins after the first"
    assert seen == [1, 2]


def test_the_end_waits_for_what_is_under_way(threads: concurrent.futures.Executor) -> None:
    has_begun, is_free, has_ended = threading.Event(), threading.Event(), threading.Event()

    def slow() -> None:
        has_begun.set()
        assert is_free.wait(TIMEOUT_S)
        has_ended.set()

    def leave() -> None:
        assert has_begun.wait(TIMEOUT_S)
        is_free.set()

    def refused() -> None:
        with Mover(threads) as mover:
            mover.begin(slow)
            raise ValueError("refused")

    other = threading.Thread(target=leave)
    other.start()
    with pytest.raises(ValueError, match="refused"):
        refused()
    assert has_ended.is_set()
    other.join()


def test_a_failure_is_told_at_the_next_step(threads: concurrent.futures.Executor) -> None:
    def fail() -> None:
        raise OSError("no memory")

    with Mover(threads) as mover:
        mover.begin(fail)
        with pytest.raises(OSError, match="no memory"):
            mover.wait()
        mover.wait()  # told once


def test_results_come_in_order_and_one_is_ahead(threads: concurrent.futures.Executor) -> None:
    made: list[int] = []
    is_ahead = threading.Event()

    def piece(number: int) -> int:
        made.append(number)
        if number == 1:
            is_ahead.set()
        return number

    results = ahead(threads, (lambda number=number: piece(number) for number in range(5)))  # type: ignore[misc]
    assert next(results) == 0
    assert is_ahead.wait(TIMEOUT_S), "the second is made while the first is used"
    assert list(results) == [1, 2, 3, 4]
    assert made == list(range(5))


def test_nothing_is_made_after_the_end(threads: concurrent.futures.Executor) -> None:
    made: list[int] = []
    results = ahead(
        threads, [lambda: made.append(1), lambda: made.append(2), lambda: made.append(3)]
    )
    next(results)
    results.close()
    assert made == [1, 2]
    assert list(ahead(threads, [])) == []
