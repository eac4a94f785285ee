"""The work queue: its bookkeeping by a clock that the test moves, its workers for real."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from podstream_operator.errors import ApiUnavailable
from podstream_operator.workqueue import KeyQueue, WorkQueue, backoff_s


def drain(queue: KeyQueue[str], *, now: float) -> list[str]:
    found = []
    while (key := queue.pop(now=now)) is not None:
        found.append(key)
        queue.done(key, now=now)
    return found


def test_key_that_is_added_twice_is_worked_on_once_in_order_of_arrival() -> None:
    queue: KeyQueue[str] = KeyQueue()
    for key in ("a", "b", "a"):
        queue.add(key, now=0)
    assert drain(queue, now=0) == ["a", "b"]


def test_key_comes_again_when_it_is_added_while_it_is_worked_on() -> None:
    queue: KeyQueue[str] = KeyQueue()
    queue.add("a", now=0)
    assert queue.pop(now=0) == "a"
    queue.add("a", now=1)
    assert queue.pop(now=1) is None
    queue.done("a", now=2)
    assert queue.pop(now=2) == "a"


def test_later_key_waits_for_its_time() -> None:
    queue: KeyQueue[str] = KeyQueue()
    queue.add_at("a", at=10)
    assert queue.pop(now=9) is None
    assert queue.next_due() == 10
    assert drain(queue, now=10) == ["a"]
    assert queue.pop(now=100) is None


@pytest.mark.parametrize(
    ("first", "second"), [(10, 50), (50, 10)], ids=["earlier-first", "later-first"]
)
def test_earlier_of_two_times_counts(first: float, second: float) -> None:
    queue: KeyQueue[str] = KeyQueue()
    queue.add_at("a", at=first)
    queue.add_at("a", at=second)
    assert drain(queue, now=10) == ["a"]
    assert drain(queue, now=100) == []


def test_key_that_is_due_now_is_not_due_later_again() -> None:
    queue: KeyQueue[str] = KeyQueue()
    queue.add_at("a", at=10)
    queue.add("a", now=0)
    assert drain(queue, now=0) == ["a"]
    assert drain(queue, now=10) == []


def test_depth_and_age_are_of_what_is_due() -> None:
    queue: KeyQueue[str] = KeyQueue()
    queue.add("a", now=3)
    queue.add_at("b", at=50)
    assert (queue.depth(), queue.oldest()) == (1, 3)


def test_routine_looks_stand_back_but_get_their_turns() -> None:
    queue: KeyQueue[str] = KeyQueue()
    for number in range(8):
        queue.add(f"poll-{number}", now=0, routine=True)
    for number in range(9):
        queue.add(f"event-{number}", now=1)
    order = drain(queue, now=1)
    assert [key for key in order[:12] if key.startswith("poll")] == ["poll-0", "poll-1", "poll-2"]
    assert len(order) == 17
    assert queue.depth() == 0


def test_event_makes_a_routine_look_urgent() -> None:
    queue: KeyQueue[str] = KeyQueue()
    for key in ("a", "b"):
        queue.add(key, now=0, routine=True)
    queue.add("b", now=1)
    queue.add("b", now=2, routine=True)
    assert (queue.depth(), queue.oldest()) == (2, 0)
    assert drain(queue, now=2) == ["b", "a"]


def test_routine_look_does_not_put_off_what_is_timed() -> None:
    queue: KeyQueue[str] = KeyQueue()
    queue.add("a", now=0)
    assert queue.pop(now=0) == "a"
    queue.add("a", now=0, routine=True)
    queue.add_at("a", at=1)
    queue.done("a", now=0)
    queue.add("b", now=0)
    queue.add("c", now=0, routine=True)
    assert drain(queue, now=1) == ["b", "a", "c"]


def test_timers_that_were_overtaken_do_not_pile_up() -> None:
    """Every look at a session sets its deadline anew, and the deadline may be a day away."""
    queue: KeyQueue[str] = KeyQueue()
    for look in range(10_000):
        queue.add_at("a", at=86_400 + look)
        queue.add("a", now=look)
        assert drain(queue, now=look) == ["a"]
    assert len(queue._heap) < 100


def test_backoff_doubles_up_to_its_limit() -> None:
    delays = [backoff_s(failures, jitter=0.5) for failures in (1, 2, 3, 100)]
    assert delays == [0.1, 0.2, 0.4, 30.0]
    assert backoff_s(1, jitter=0) < backoff_s(1, jitter=1)


@asynccontextmanager
async def running(
    work: Callable[[str], Awaitable[float | None]], *, workers: int = 4
) -> AsyncIterator[WorkQueue[str]]:
    queue: WorkQueue[str] = WorkQueue(work, workers=workers, jitter=lambda: 0.0)
    task = asyncio.create_task(queue.run())
    try:
        yield queue
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_one_key_is_never_worked_on_twice_at_once() -> None:
    active: set[str] = set()
    done = asyncio.Semaphore(0)
    seen = 0

    async def work(key: str) -> None:
        nonlocal seen
        assert key not in active
        active.add(key)
        await asyncio.sleep(0)
        active.discard(key)
        seen += 1
        done.release()

    async with running(work) as queue, asyncio.timeout(2):
        for _ in range(20):
            queue.add("a")
            queue.add("b")
            await asyncio.sleep(0)
        await done.acquire()
        await done.acquire()
    assert seen >= 2


async def test_workers_are_bounded() -> None:
    active = 0
    most = 0
    done = asyncio.Semaphore(0)

    async def work(_key: str) -> None:
        nonlocal active, most
        active += 1
        most = max(most, active)
        await asyncio.sleep(0.001)
        active -= 1
        done.release()

    async with running(work, workers=3) as queue, asyncio.timeout(2):
        for number in range(12):
            queue.add(str(number))
        for _ in range(12):
            await done.acquire()
    assert most == 3


@pytest.mark.parametrize(
    "error", [ApiUnavailable("down", retry_after_s=0), KeyError("a bug")], ids=["api", "bug"]
)
async def test_failure_is_repeated(error: Exception) -> None:
    tries = 0
    succeeded = asyncio.Event()

    async def work(_key: str) -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise error
        succeeded.set()

    async with running(work) as queue, asyncio.timeout(2):
        queue.add("a")
        await succeeded.wait()
    assert tries == 3


async def test_result_says_when_to_come_again() -> None:
    times = 0
    thrice = asyncio.Event()

    async def work(_key: str) -> float | None:
        nonlocal times
        times += 1
        if times == 3:
            thrice.set()
            return None
        return 0.01

    async with running(work) as queue, asyncio.timeout(2):
        queue.add("a")
        await thrice.wait()
        assert queue.depth() == 0
        assert queue.stalled_s() < 1
