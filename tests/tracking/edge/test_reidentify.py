import numpy as np
import pytest

from podstream_workloads.tracking.edge.analysis import TrackedBox
from podstream_workloads.tracking.edge.descriptor import Descriptor, Vector
from podstream_workloads.tracking.edge.reidentify import Targets
from podstream_workloads.tracking.edge.settings import ReidentifySettings
from podstream_workloads.tracking.edge.tracker.tracks import State


def vector(*angles: float) -> Vector:
    """A direction; those whose angles differ by 0.2 have a distance of 0.02."""
    parts = [part for angle in angles for part in (np.cos(angle), np.sin(angle))]
    return np.array(parts, np.float32) / np.float32(np.sqrt(len(angles)))


def look(angle: float) -> Descriptor:
    return Descriptor(vector(angle))


def box(
    track_id: int, angle: float | None, *, age_s: float = 5.0, apart: bool = True
) -> TrackedBox:
    return TrackedBox(
        track_id=track_id,
        rect=(0.1, 0.1, 0.2, 0.5),
        label="person",
        certainty=0.9,
        state=State.MOVING,
        age_s=age_s,
        appearance=None if angle is None else vector(angle),
        is_apart=apart,
    )


def test_a_chosen_box_is_the_object_and_the_site_learns_its_looks() -> None:
    targets = Targets()
    targets.observe([box(4, 0.0), box(5, 1.0)], now_s=0.0)
    targets.start(1, track_id=4, now_s=0.1)

    seen = targets.observe([box(4, 0.0), box(5, 1.0)], now_s=0.2)

    assert seen.objects == {4: 1}
    ((number, told),) = seen.feature_maps
    assert number == 1
    assert told.distance(look(0.0)) == pytest.approx(0, abs=1e-6)
    assert targets.observe([box(4, 0.0)], now_s=0.3).feature_maps == ()


def test_a_box_that_has_left_already_can_still_be_chosen() -> None:
    targets = Targets()
    targets.observe([box(4, 0.0)], now_s=0.0)
    targets.observe([], now_s=1.0)
    targets.start(1, track_id=4, now_s=1.5)

    assert targets.observe([box(9, 0.01), box(10, 1.5)], now_s=9.0).objects == {9: 1}


def test_a_start_that_the_site_repeats_changes_nothing() -> None:
    """After a lost connection; the object has moved on to another track since."""
    targets = Targets()
    targets.observe([box(1, 0.0)], now_s=0.0, frame_id=50.0)
    targets.start(7, track_id=1, frame_id=50.0, now_s=0.0)
    targets.observe([box(1, 0.0)], now_s=0.1, frame_id=50.1)
    targets.observe([box(2, 0.0)], now_s=9.0, frame_id=59.0)
    targets.start(7, track_id=1, frame_id=50.0, now_s=9.5)

    assert targets.observe([box(1, 0.3), box(2, 0.0)], now_s=10.0, frame_id=60.0).objects == {2: 7}


def test_a_box_of_a_frame_before_a_restart_is_nobody_here() -> None:
    targets = Targets()
    targets.observe([box(1, 0.0)], now_s=0.0, frame_id=1000.0)
    targets.start(7, track_id=1, frame_id=50.0, now_s=0.0)

    assert targets.observe([box(1, 0.0)], now_s=0.1, frame_id=1000.1).objects == {}


def test_an_object_of_another_camera_is_recognised_by_the_ratio() -> None:
    targets = Targets()
    targets.feature_map(7, look(0.0), now_s=0.0)

    assert targets.observe([box(1, 0.1), box(2, 0.9)], now_s=5.0).objects == {1: 7}


def test_two_who_look_alike_are_nobody() -> None:
    """Both are near by any absolute measure; neither is nearer than the other by enough."""
    targets = Targets()
    targets.feature_map(7, look(0.0), now_s=0.0)

    assert targets.observe([box(1, 0.10), box(2, 0.11)], now_s=5.0).objects == {}


def test_somebody_who_could_be_either_object_is_neither() -> None:
    targets = Targets()
    targets.feature_map(7, look(0.0), now_s=0.0)
    targets.feature_map(8, look(0.2), now_s=0.0)

    assert targets.observe([box(1, 0.1)], now_s=5.0).objects == {}


def test_without_anybody_to_compare_with_only_the_very_like_is_the_same() -> None:
    targets = Targets(ReidentifySettings(near=0.01))
    targets.feature_map(7, look(0.0), now_s=0.0)

    assert targets.observe([box(1, 0.3)], now_s=5.0).objects == {}
    assert targets.observe([box(2, 0.05)], now_s=6.0).objects == {2: 7}


def test_what_is_far_off_is_nobody_whatever_the_ratio() -> None:
    targets = Targets()
    targets.feature_map(7, look(0.0), now_s=0.0)

    assert targets.observe([box(1, 0.9), box(2, 3.0)], now_s=5.0).objects == {}


def test_an_object_is_at_one_place_at_most() -> None:
    targets = Targets()
    targets.observe([box(1, 0.0)], now_s=0.0)
    targets.start(7, track_id=1, now_s=0.0)

    seen = targets.observe([box(1, 0.0), box(2, 0.0)], now_s=1.0)

    assert seen.objects == {1: 7}


def test_a_track_is_one_object_at_most_and_the_newest_wins() -> None:
    targets = Targets()
    targets.observe([box(1, 0.0)], now_s=0.0)
    targets.start(7, track_id=1, now_s=0.0)
    targets.start(8, track_id=1, now_s=0.1)

    assert targets.observe([box(1, 0.0)], now_s=1.0).objects == {1: 8}


def test_somebody_who_comes_back_is_the_same_object() -> None:
    targets = Targets()
    targets.observe([box(1, 0.0)], now_s=0.0)
    targets.start(7, track_id=1, now_s=0.0)
    targets.observe([box(1, 0.0)], now_s=0.1)
    targets.observe([], now_s=5.0)

    assert targets.observe([box(3, 1.2), box(4, 0.05)], now_s=20.0).objects == {4: 7}


def test_nobody_arrives_from_another_camera_faster_than_possible() -> None:
    targets = Targets(ReidentifySettings(min_travel_s=10.0, max_travel_s=60.0))
    targets.feature_map(7, look(0.0), now_s=0.0)
    boxes = [box(1, 0.01), box(2, 1.0)]

    assert targets.observe(boxes, now_s=9.0).objects == {}
    assert targets.observe(boxes, now_s=61.0).objects == {}
    assert targets.observe(boxes, now_s=11.0).objects == {1: 7}


def test_nobody_is_recognised_at_first_sight_or_behind_another() -> None:
    targets = Targets(ReidentifySettings(settle_s=0.5))
    targets.feature_map(7, look(0.0), now_s=0.0)

    assert targets.observe([box(1, 0.0, age_s=0.3)], now_s=1.0).objects == {}
    assert targets.observe([box(1, 0.0, apart=False)], now_s=2.0).objects == {}
    assert targets.observe([box(1, None)], now_s=3.0).objects == {}
    assert targets.observe([box(1, 0.0)], now_s=4.0).objects == {1: 7}


def test_a_stopped_object_is_nobody() -> None:
    targets = Targets()
    targets.observe([box(1, 0.0)], now_s=0.0)
    targets.start(7, track_id=1, now_s=0.0)
    targets.stop(7)
    targets.stop(99)

    assert targets.observe([box(1, 0.0)], now_s=1.0).objects == {}
    assert targets.objects == ()


def test_the_sites_echo_of_an_own_map_changes_nothing() -> None:
    targets = Targets(ReidentifySettings(min_travel_s=100.0))
    targets.observe([box(1, 0.0)], now_s=0.0)
    targets.start(7, track_id=1, now_s=0.0)
    ((_, told),) = targets.observe([box(1, 0.0)], now_s=0.1).feature_maps
    targets.feature_map(7, told, now_s=0.2)
    targets.observe([], now_s=5.0)

    # Were it taken for another camera's map, nobody could be here before 100 s.
    assert targets.observe([box(2, 0.0)], now_s=6.0).objects == {2: 7}


def test_maps_are_sent_anew_when_looks_change_and_not_too_often() -> None:
    targets = Targets(ReidentifySettings(refresh_s=10.0))
    targets.observe([box(1, 0.0)], now_s=0.0)
    targets.start(7, track_id=1, now_s=0.0)
    sent = []
    for second in range(40):
        angle = 0.0 if second < 15 else 1.0
        sent += [second] * len(targets.observe([box(1, angle)], now_s=second).feature_maps)

    assert sent == [0, 15]


def test_an_object_without_a_map_waits_for_one() -> None:
    targets = Targets()
    targets.feature_map(7, None, now_s=0.0)
    assert targets.observe([box(1, 0.0)], now_s=1.0).objects == {}
    targets.feature_map(7, look(0.0), now_s=2.0)

    assert targets.observe([box(1, 0.0)], now_s=3.0).objects == {1: 7}


def test_maps_of_another_kind_are_never_compared() -> None:
    targets = Targets()
    targets.feature_map(7, Descriptor(vector(0.0), alg="", version=0), now_s=0.0)

    assert targets.observe([box(1, 0.0)], now_s=3.0).objects == {}
