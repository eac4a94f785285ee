"""Frames in, alarms out: camera, edge, cloud with the Local recogniser, over loopback sockets."""

from pathlib import Path

from podstream_workloads.tracking.intruder.recognisers.local.recogniser import LocalRecogniser
from tracking.intruder.rendered_faces import alter, person, portrait
from tracking.intruder.site_of import NotTheWall, cloud_of, device, edge_of, eventually, jpeg, room

STRANGER = 20


async def test_known_face_no_alarm_stranger_alarm_empty_room_no_call(gallery: Path) -> None:
    detector = NotTheWall()
    async with (
        cloud_of(LocalRecogniser(gallery)) as (cloud, cloud_url),
        edge_of(cloud_url, detector=detector) as (edge, edge_url),
        device(edge_url) as camera,
        device(edge_url) as alarm,
    ):
        await camera.send("gate_frame30.jpg", jpeg(room()))
        await camera.until("frame_processed")
        assert cloud.results().requests == 0

        known = alter(portrait(person(1)), gain=0.8, jpeg=60)
        await camera.send("gate_frame60.jpg", jpeg(room(known)))
        await camera.until("frame_processed", 2)
        assert (cloud.results().known, cloud.results().unknown) == (1, 0)
        assert alarm.count("alarm_event") == 0

        await camera.send("gate_frame90.jpg", jpeg(room(portrait(person(STRANGER)))))
        await alarm.until("alarm_event")
        await camera.until("alarm_event")
        await camera.until("frame_processed", 3)

        assert camera.names("frame_processed") == [
            "gate_frame30.jpg", "gate_frame60.jpg", "gate_frame90.jpg",
        ]  # fmt: skip
        assert alarm.events == [("alarm_event", None)]
        figures = edge.results()
        assert (figures.frames, figures.processed, figures.with_persons) == (3, 3, 2)
        assert (figures.known, figures.unknown, figures.intruders) == (1, 1, 1)
        assert cloud.results().requests == 2
        await eventually(lambda: edge.results().connections == 2)
