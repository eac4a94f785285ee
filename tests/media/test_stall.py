"""Key frames are asked for when packets come and pictures do not, and only then."""

from podstream_workloads.media.stall import StallWatch


def _asked(
    watch: StallWatch, *, since: float, until: float, packets: int, more: int
) -> list[float]:
    """When the watch asks, looked at twenty times a second."""
    asked, step = [], 0
    while (now := since + step / 20) < until:
        step += 1
        packets += more
        if watch.is_due(packets=packets, now=now):
            asked.append(round(now, 2))
    return asked


def _playing(*, fps: float, frames: int = 60) -> tuple[StallWatch, float]:
    watch, now = StallWatch(), 0.0
    for number in range(frames):
        now = number / fps
        watch.decoded(now)
        watch.is_due(packets=number, now=now)
    return watch, now


def test_packets_without_pictures_are_a_stall_after_a_quarter_second() -> None:
    watch, now = _playing(fps=30)
    asked = _asked(watch, since=now, until=now + 2.6, packets=60, more=1)
    assert len(asked) == 3
    assert 0.25 <= asked[0] - now <= 0.35
    assert asked[1] - asked[0] >= 1


def test_silence_of_the_network_is_no_stall() -> None:
    watch, now = _playing(fps=30)
    assert _asked(watch, since=now, until=now + 5, packets=59, more=0) == []


def test_few_frames_a_second_are_no_stall() -> None:
    watch, now = _playing(fps=2)
    assert _asked(watch, since=now, until=now + 1.4, packets=60, more=1) == []


def test_one_interval_is_a_usual_one_already() -> None:
    watch, now = _playing(fps=2, frames=2)
    assert _asked(watch, since=now, until=now + 1.4, packets=60, more=1) == []


def test_looking_on_before_the_first_picture_is_no_picture() -> None:
    watch = StallWatch()
    watch.is_due(packets=1, now=5.0)
    assert watch.decoded_at is None


def test_a_connection_that_never_showed_a_picture_asks_for_one() -> None:
    assert _asked(StallWatch(), since=0, until=1, packets=0, more=1) == [0.25]
