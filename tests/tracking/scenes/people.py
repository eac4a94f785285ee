"""Somebody's picture, looks and boxes, without a whole scene."""

from podstream_workloads.tracking.edge.analysis import TrackedBox, TrackedFrame
from podstream_workloads.tracking.edge.descriptor import Descriptor, of_picture
from podstream_workloads.tracking.edge.detectors.base import Picture
from podstream_workloads.tracking.edge.tracker.tracks import State
from tracking.scenes.walkers import Colour, Scene, Walker, draw


def person(colour: Colour) -> Picture:
    room = next(Scene((), seconds=0.1).render())[0].image.copy()
    draw(room, Walker(1, (), torso=colour), (150, 205), phase=1.0)
    return room[125:205, 135:165].copy()


def look(colour: Colour) -> Descriptor:
    found = of_picture(person(colour))
    assert found is not None
    return found


def frame(time_s: float, **tracks: Colour) -> TrackedFrame:
    boxes = tuple(
        TrackedBox(
            track_id=int(name[1:]),
            rect=(0.1, 0.2, 0.3, 1 / 3),
            label="person",
            certainty=0.91,
            state=State.MOVING,
            age_s=9.0,
            appearance=look(colour).vector,
            is_apart=True,
        )
        for name, colour in tracks.items()
    )
    return TrackedFrame(time_s, 0, (320, 240), boxes, (), True)
