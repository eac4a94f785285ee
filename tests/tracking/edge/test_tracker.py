import itertools

import pytest

from podstream_workloads.tracking.edge.detectors.base import Detection
from podstream_workloads.tracking.edge.tracker import Tracker, TrackerSettings
from podstream_workloads.tracking.edge.tracker.tracks import State
from tracking.scenes.follow import Boxed, person, walking

FPS = [1.0, 5.0, 10.0, 30.0, 60.0]


def boxed(*, fps: float = 10.0, **settings: float) -> Boxed:
    return Boxed(Tracker(TrackerSettings(**settings)), fps=fps)


def stand(run: Boxed, *, seconds: float, x: float = 150.0, score: float = 0.9) -> set[int]:
    ids: set[int] = set()
    for _ in range(round(seconds * run.fps)):
        ids |= {track.track_id for track in run.feed([person(x, score=score)])}
    return ids


@pytest.mark.parametrize("fps", FPS)
def test_an_id_is_given_after_the_same_time_at_any_frame_rate(fps: float) -> None:
    run = boxed(fps=fps, confirm_s=0.2)
    frames = 1
    while not run.feed([person(150)]):
        frames += 1

    # The first frame shows it at 0 s; two frames are the least.
    assert frames == max(2, round(0.2 * fps) + 1)


@pytest.mark.parametrize("fps", FPS)
def test_somebody_hidden_for_a_second_keeps_the_id(fps: float) -> None:
    run = boxed(fps=fps, lost_s=1.5)
    walker = walking(60, 12, fps=fps)
    before = {t.track_id for one in itertools.islice(walker, int(4 * fps)) for t in run.feed([one])}
    for _ in itertools.islice(walker, int(fps)):
        run.feed([])
    after = {t.track_id for one in itertools.islice(walker, int(4 * fps)) for t in run.feed([one])}

    assert before == after == {1}


@pytest.mark.parametrize("fps", FPS)
def test_somebody_away_for_longer_is_somebody_new(fps: float) -> None:
    run = boxed(fps=fps, lost_s=1.5)
    assert stand(run, seconds=4) == {1}
    ended: list[int] = []
    for _ in range(round(3 * fps)):
        run.feed([])
        ended += run.tracker.ended

    assert ended == [1]
    assert stand(run, seconds=4) == {2}


def test_a_single_false_detection_burns_no_id() -> None:
    run = boxed()
    for _ in range(10):
        run.feed([person(50)])
        run.feed([])
        run.feed([])
    assert run.tracker.ids_given == 0

    assert stand(run, seconds=1) == {1}


def test_a_doubtful_detection_begins_nothing() -> None:
    assert stand(boxed(), seconds=5, score=0.4) == set()


def test_doubtful_detections_prolong_a_track_for_a_while_only() -> None:
    run = boxed(doubtful_s=2.0, lost_s=1.0)
    stand(run, seconds=1)

    assert stand(run, seconds=1.5, score=0.3) == {1}
    stand(run, seconds=3, score=0.3)
    assert stand(run, seconds=1, score=0.3) == set()


def test_whoever_leaves_makes_room_at_once() -> None:
    """The next one who comes in where somebody has just left is not that somebody."""
    run = boxed(exit_s=0.4, lost_s=5.0)
    for step in range(20):
        run.feed([person(250 + 3 * step)])
    for _ in range(6):
        run.feed([])

    assert stand(run, seconds=1, x=305) == {2}


def test_somebody_who_stops_is_stationary_and_somebody_who_goes_on_is_not() -> None:
    run = boxed(still_s=2.0)
    stand(run, seconds=1)
    (track,) = run.feed([person(150)])
    assert track.state is State.MOVING
    stand(run, seconds=2)
    (track,) = run.feed([person(150)])
    assert track.state is State.STATIONARY
    for step in range(15):
        run.feed([person(150 + 3 * step)])
    (track,) = run.feed([person(195)])
    assert track.state is State.MOVING


def test_somebody_who_stands_outside_the_part_that_was_looked_at_stays() -> None:
    run = boxed()
    stand(run, seconds=3)
    for _ in range(100):
        (track,) = run.feed([], looked=(200.0, 0.0, 320.0, 240.0))
        assert track.track_id == 1

    for _ in range(20):
        run.feed([], looked=(0.0, 0.0, 320.0, 240.0))
    assert run.feed([]) == []


def test_two_who_cross_with_a_box_each_keep_their_ids() -> None:
    run = boxed()
    left, right = walking(40, 30, fps=10), walking(280, -30, fps=10)
    first: dict[int, float] = {}
    last: dict[int, float] = {}
    for one, other in itertools.islice(zip(left, right, strict=True), 80):
        for track in run.feed([one, other]):
            first.setdefault(track.track_id, track.rect[0])
            last[track.track_id] = track.rect[0]

    assert set(last) == {1, 2}
    assert all((first[one] < 150) == (last[one] > 150) for one in (1, 2))


def test_two_who_cross_in_one_box_keep_their_ids() -> None:
    run = boxed()
    first: dict[int, float] = {}
    last: dict[int, float] = {}
    for step in range(80):
        a, b = 40 + 3.0 * step, 280 - 3.0 * step
        apart = [person(a), person(b)]
        both = Detection((min(a, b) - 15, 120, max(a, b) + 15, 200), 0.9, "person")
        for track in run.feed([both] if abs(a - b) < 32 else apart):
            first.setdefault(track.track_id, track.rect[0])
            last[track.track_id] = track.rect[0]

    assert set(last) == {1, 2}
    assert all((first[one] < 150) == (last[one] > 150) for one in (1, 2))


def test_who_goes_behind_another_is_believed_to_be_there_for_a_limited_time() -> None:
    run = boxed(merged_s=3.0, lost_s=1.0)
    for step in range(20):
        run.feed([person(150), person(210 - 3 * step)])
    for _ in range(20):
        assert {track.track_id for track in run.feed([person(150)])} == {1, 2}
    for _ in range(30):
        run.feed([person(150)])

    assert {track.track_id for track in run.feed([person(150)])} == {1}


def test_a_piece_of_somebody_is_nobody() -> None:
    run = boxed()
    piece = Detection((140.0, 170.0, 160.0, 198.0), 0.9, "person")
    stand(run, seconds=1)

    for _ in range(30):
        assert [track.track_id for track in run.feed([person(150), piece])] == [1]


def test_a_step_back_in_time_ends_all_tracks() -> None:
    run = boxed()
    stand(run, seconds=1)
    run.start_s -= 100

    assert run.feed([person(150)]) == []
    assert run.tracker.ended == (1,)
    assert stand(run, seconds=1) == {2}
