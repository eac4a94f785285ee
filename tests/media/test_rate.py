"""The sender's rate follows the slowest stage."""

import pytest

from podstream_workloads.media.rate import RateGovernor


class Path:
    """A governed sender of 30 frames/s, second by second."""

    def __init__(self, *, fps: float = 30) -> None:
        self.rate = RateGovernor(fps=fps)
        self.now = 0.0

    def run(self, seconds: float, *, sending: float = 0.001, looking: float | None = None) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now += 1 / self.rate.fps
            self.rate.sent(sending, now=self.now)
            if looking is not None:
                self.rate.looked(looking)


def test_a_path_that_keeps_up_gets_what_it_asked_for() -> None:
    path = Path()
    path.run(10, sending=0.02, looking=0.02)
    assert path.rate.fps == 30


def test_a_slow_client_gets_what_it_can_look_at_in_its_share_of_the_time() -> None:
    path = Path()
    path.run(2, looking=0.1)
    assert path.rate.fps == pytest.approx(7)


def test_a_slow_encoder_lowers_the_rate() -> None:
    path = Path(fps=60)
    path.run(2, sending=0.045)
    assert path.rate.fps == pytest.approx(20)


def test_a_client_that_got_faster_is_sent_a_quarter_more_every_second() -> None:
    path = Path()
    path.run(2, looking=0.1)
    path.run(1.5, looking=0.001)
    slow = path.rate.fps
    assert slow < 11
    path.run(2, looking=0.001)
    assert slow * 1.2 < path.rate.fps < slow * 2
    path.run(10, looking=0.001)
    assert path.rate.fps == 30


def test_a_sender_that_got_faster_sends_all_within_a_second() -> None:
    path = Path()
    path.run(3, sending=0.3)
    assert path.rate.fps == pytest.approx(3)
    path.run(2, sending=0.001)
    assert path.rate.fps == 30


def test_single_slow_frames_change_nothing() -> None:
    path = Path()
    for _ in range(20):
        path.run(0.3, looking=0.001)
        path.run(0.03, sending=0.5, looking=0.5)
    assert path.rate.fps == 30


def test_a_client_of_three_seconds_a_frame_still_gets_one_a_second() -> None:
    path = Path()
    path.run(2, looking=3)
    assert path.rate.fps == 1


def _queueing_client(path: Path, *, capacity: float, seconds: float) -> float:
    """A client that answers in turn, so many a second, and says nothing else; its last latency."""
    waiting: list[float] = []
    free_at, latency, end = path.now, 0.0, path.now + seconds
    while path.now < end:
        path.now += 1 / path.rate.fps
        path.rate.sent(0.001, now=path.now)
        waiting.append(path.now)
        while waiting and free_at <= path.now:
            drawn = waiting.pop(0)
            free_at = max(free_at, drawn) + 1 / capacity
            latency = free_at - drawn
            path.rate.answered(latency)
    return latency


def test_a_client_that_queues_frames_is_given_fewer_until_it_keeps_up() -> None:
    path = Path()
    latency = _queueing_client(path, capacity=10, seconds=60)
    assert path.rate.fps < 13
    assert latency < 2


def test_lost_answers_without_delay_change_nothing() -> None:
    path = Path()
    for number in range(900):
        path.now += 1 / 30
        path.rate.sent(0.001, now=path.now)
        if number % 4:
            path.rate.answered(0.05)
    assert path.rate.fps == 30


def test_a_longer_way_without_lost_answers_changes_nothing() -> None:
    path = Path()
    for number in range(900):
        path.now += 1 / 30
        path.rate.sent(0.001, now=path.now)
        path.rate.answered(0.05 if number < 450 else 0.8)
    assert path.rate.fps == 30
