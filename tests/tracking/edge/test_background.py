import itertools

import numpy as np
import pytest

from podstream_workloads.tracking.edge.background import Background, Foreground
from podstream_workloads.tracking.edge.detectors.base import Picture, Rect
from podstream_workloads.tracking.edge.detectors.motion import Motion
from podstream_workloads.tracking.edge.rects import as_array, iou
from tracking.scenes.scenes import changing_light
from tracking.scenes.walkers import RED, Scene, Walker, across, draw


def overlap(one: Rect, other: Rect) -> float:
    return float(iou(as_array([one]), as_array([other]))[0, 0])


def walk(scene: Scene, *, hold: bool = False) -> tuple[int, int, int]:
    """Frames with somebody in them, those of them where they are found, rectangles of nobody."""
    background = Background()
    held: list[Rect] = []
    present = found = false = 0
    for frame, truth in scene.render():
        seen = background.look(frame.image, time_s=frame.time_s, held=held)
        rects = list(truth.values())
        present += bool(rects)
        found += any(overlap(blob.rect, rect) > 0.4 for blob in seen.blobs for rect in rects)
        if not truth:
            false += sum(blob.rect[0] > 20 and blob.rect[2] < 300 for blob in seen.blobs)
        held = rects if hold else []
    return present, found, false


def standing(seconds: float) -> Scene:
    keys = ((1.0, -20.0, 205.0), (3.0, 150.0, 205.0), (seconds, 150.0, 205.0))
    return Scene((Walker(1, (keys,), torso=RED),), seconds=seconds)


def test_somebody_who_walks_is_found_in_every_frame() -> None:
    present, found, false = walk(Scene((Walker(1, (across(1, 5),)),), seconds=6))

    assert present > 30
    assert (found, false) == (present, 0)


def test_somebody_who_stands_is_absorbed_unless_held() -> None:
    present, found, _ = walk(standing(12))
    assert found < 0.8 * present

    present, found, _ = walk(standing(12), hold=True)
    assert found == present


def test_a_change_of_light_is_nobody() -> None:
    present, found, false = walk(changing_light())

    assert false == 0
    assert found >= 0.97 * present


def room_and_room_with_somebody() -> tuple[Picture, Picture]:
    scene = Scene((), seconds=0.1)
    empty = next(scene.render())[0].image
    full = empty.copy()
    draw(full, Walker(1, ()), (150.0, 205.0), phase=1.0)
    return empty, full


def look_for(background: Background, image: Picture, *, times: range, fps: int = 10) -> Foreground:
    seen = None
    for index in times:
        seen = background.look(image, time_s=index / fps)
    assert seen is not None
    return seen


def test_what_has_left_after_being_learnt_leaves_no_ghost() -> None:
    empty, full = room_and_room_with_somebody()
    background = Background()
    look_for(background, full, times=range(20))

    assert look_for(background, empty, times=range(20, 22)).blobs == ()


def test_what_comes_to_stand_is_no_ghost() -> None:
    empty, full = room_and_room_with_somebody()
    background = Background()
    look_for(background, empty, times=range(20))

    assert len(look_for(background, full, times=range(20, 22)).blobs) == 1


def test_a_new_scene_starts_the_model_anew() -> None:
    background = Background()
    rng = np.random.default_rng(1)
    one, other = (rng.integers(0, 255, (240, 320, 3), np.uint8) for _ in range(2))
    look_for(background, one, times=range(5))

    assert look_for(background, other, times=range(5, 6)).is_sudden
    assert not look_for(background, other, times=range(6, 7)).is_sudden


@pytest.mark.parametrize("size", [(240, 320), (480, 640), (120, 160)])
def test_rectangles_are_in_pixels_of_the_picture_given(size: tuple[int, int]) -> None:
    background = Background()
    picture = np.full((*size, 3), 120, np.uint8)
    background.look(picture, time_s=0.0)
    high, wide = size
    picture = picture.copy()
    picture[high // 4 : high // 2, wide // 4 : wide // 2] = 200

    (blob,) = background.look(picture, time_s=0.1).blobs

    expected = (wide / 4, high / 4, wide / 2, high / 2)
    assert blob.rect == pytest.approx(expected, abs=0.015 * wide)


def test_the_size_of_pictures_may_change() -> None:
    background = Background()
    background.look(np.zeros((240, 320, 3), np.uint8), time_s=0.0)

    assert background.look(np.zeros((120, 200, 3), np.uint8), time_s=0.1).blobs == ()


def test_the_motion_detector_reports_certain_boxes_of_the_whole_picture() -> None:
    ticks = itertools.count()
    detector = Motion(clock=lambda: next(ticks) / 10)
    scene = Scene((Walker(1, (across(1, 5),)),), seconds=4)
    found = [(detector.detect(frame.image), truth) for frame, truth in scene.render()]
    inside = [(boxes, truth[1]) for boxes, truth in found if truth]

    assert all(len(boxes) == 1 for boxes, _ in inside)
    assert all(0.5 <= boxes[0].score <= 1.0 for boxes, _ in inside)
    assert all(overlap(boxes[0].rect, rect) > 0.4 for boxes, rect in inside)
    assert (detector.name, detector.version[:5]) == ("motion", "mog2-")


def test_the_motion_detector_holds_what_it_is_told_to() -> None:
    ticks = itertools.count()
    detector = Motion(clock=lambda: next(ticks) / 10)
    empty, full = room_and_room_with_somebody()
    for _ in range(20):
        detector.detect(empty)
    detector.hold([(130.0, 120.0, 170.0, 210.0)])

    assert all(len(detector.detect(full)) == 1 for _ in range(120))
