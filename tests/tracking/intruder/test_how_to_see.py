"""The rows of the table of observable checks for edge/cloud intruder detection, one test each.

Stock python-socketio clients, real loopback sockets, the Local recogniser where a face matters.
"""

import asyncio
import re
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import cv2
import pytest

from podstream_workloads.tracking.intruder import IntruderEdgeSettings, Outcome, Verdict
from podstream_workloads.tracking.intruder.recognisers.local.recogniser import LocalRecogniser
from podstream_workloads.tracking.intruder.site.evidence import Evidence
from podstream_workloads.tracking.intruder.verdict import undetermined
from tracking.intruder.rendered_faces import alter, person, portrait
from tracking.intruder.site_of import (
    Answering,
    NotTheWall,
    cloud_of,
    device,
    edge_of,
    eventually,
    jpeg,
    room,
)

KNOWN, STRANGER = 1, 20
LINE = re.compile(
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} - (INFO |WARN |ERROR) - \w+\.py:\w+:\d+ - \S.*"
)


def video(path: Path, *, frames: int, fps: float = 30, scene: Any = None) -> Path:
    """A video file of one scene."""
    scene = room(portrait(person(STRANGER))) if scene is None else scene
    writer = cv2.VideoWriter(
        str(path), cv2.VideoWriter.fourcc(*"MJPG"), fps, (scene.shape[1], scene.shape[0])
    )
    assert writer.isOpened()
    for _ in range(frames):
        writer.write(scene)
    writer.release()
    return path


async def started(command: str, *arguments: object) -> asyncio.subprocess.Process:
    """A console script of this package, as a process of its own."""
    return await asyncio.create_subprocess_exec(
        str(Path(sys.executable).parent / command),
        *(str(each) for each in arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def ended(process: asyncio.subprocess.Process) -> tuple[int, str, str]:
    """Exit code and output once it is over."""
    async with asyncio.timeout(120):
        out, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), errors.decode()


async def line_with(process: asyncio.subprocess.Process, text: str) -> str:
    """The first line on standard error with this text."""
    assert process.stderr is not None
    async with asyncio.timeout(60):
        while text not in (line := (await process.stderr.readline()).decode()):
            assert line, f"the process ended without {text!r}"
    return line


async def stopped(process: asyncio.subprocess.Process) -> tuple[str, str]:
    """Output of a process that is told to end."""
    if process.returncode is None:
        process.terminate()
    async with asyncio.timeout(60):
        out, errors = await process.communicate()
    return out.decode(), errors.decode()


async def test_row_1_topology_up_offline(gallery: Path, tmp_path: Path) -> None:
    """Camera, alarm, edge and cloud from the shipped commands; nobody asks beyond loopback."""
    clip = video(tmp_path / "gate.avi", frames=30)
    async with (
        cloud_of(LocalRecogniser(gallery)) as (_, cloud_url),
        edge_of(cloud_url) as (edge, edge_url),
    ):
        alarm = await started("podstream-alarm", "--edge", edge_url, "--once")
        await eventually(lambda: edge.results().connections == 1)
        camera = await started("podstream-camera", clip, "--edge", edge_url, "--once")

        code, out, _ = await ended(alarm)
        assert (code, out) == (0, "Intruder detected, alarm turned on... \n")
        code, _, errors = await ended(camera)
        assert (code, "Sent frame: gate_frame1.jpg" in errors) == (0, True)


async def test_row_2_known_face_no_alarm_stranger_alarm_empty_room_no_call(gallery: Path) -> None:
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

        known = alter(portrait(person(KNOWN)), gain=0.8, jpeg=60)
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


async def test_row_3_cloud_api(gallery: Path) -> None:
    async with (
        cloud_of(LocalRecogniser(gallery)) as (_, url),
        aiohttp.ClientSession(url) as session,
    ):

        async def detect(fields: dict[str, Any]) -> tuple[int, Any]:
            form = aiohttp.FormData(quote_fields=False)
            for name, value in fields.items():
                kind = {"filename": "frame.jpg", "content_type": "image/jpeg"}
                form.add_field(name, value, **(kind if isinstance(value, bytes) else {}))
            async with session.post("/detect_intruder", data=form) as answer:
                assert answer.content_type == "application/json"
                return answer.status, await answer.json()

        known, stranger = (jpeg(portrait(person(seed))) for seed in (KNOWN, STRANGER))
        assert await detect({"img": known, "device_id": "1"}) == (200, {"result": False})
        assert await detect({"img": stranger, "device_id": "1"}) == (200, {"result": True})
        assert await detect({"img": b"", "device_id": "1"}) == (
            400, {"error": "no image provided"},
        )  # fmt: skip
        assert await detect({"device_id": "1"}) == (400, {"error": "no image provided"})
        async with session.get("/health") as answer:
            assert (answer.status, await answer.json()) == (200, {"status": "healthy"})


async def test_row_4_no_face_or_no_service_is_no_silent_intruder(
    tmp_path: Path, gallery: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The third outcome: no alarm, but logged and counted. AWS errors: test_rekognition.py."""
    for recogniser, seed in (
        (LocalRecogniser(gallery), None),
        (LocalRecogniser(tmp_path / "missing.npz"), STRANGER),
        (Answering(undetermined("no credentials")), STRANGER),
    ):
        shirt = room(portrait(person(STRANGER)))[:, :, :].copy()
        shirt[:270] = 128  # somebody, but no face
        scene = shirt if seed is None else room(portrait(person(seed)))
        caplog.clear()
        async with (
            cloud_of(recogniser) as (cloud, cloud_url),
            edge_of(cloud_url) as (edge, edge_url),
            device(edge_url) as camera,
        ):
            await camera.send("f1.jpg", jpeg(scene))
            await camera.until("frame_processed")
            assert camera.count("alarm_event") == 0
            assert (edge.results().undetermined, edge.results().intruders) == (1, 0)
            assert cloud.results().undetermined == 1
            assert cloud.results().last_reason == edge.results().last_reason != ""
            assert "Undetermined" in caplog.text


@pytest.mark.parametrize("cloud", ["dead", "slow"])
async def test_row_5_edge_survives_a_slow_or_dead_cloud(cloud: str) -> None:
    recogniser = Answering(Verdict(Outcome.UNKNOWN), delay_s=600)
    client = {"timeout_s": 0.3, "deadline_s": 1.0, "backlog": 4, "pause_s": 0.05}
    async with cloud_of(recogniser) as (_, cloud_url):
        url = cloud_url if cloud == "slow" else "http://127.0.0.1:9"
        async with edge_of(url, client=client) as (edge, edge_url), device(edge_url) as camera:
            scene = jpeg(room(portrait(person(STRANGER))))
            for number in range(30):
                await camera.send(f"f{number}.jpg", scene)
                assert edge.results().waiting <= 32
            await camera.until("frame_processed", 30)

            async with device(edge_url) as another:  # events are still accepted
                await another.send("empty.jpg", jpeg(room()))
                await another.until("frame_processed")
            figures = edge.results()
            assert (figures.frames, figures.processed, figures.undetermined) == (31, 31, 30)
            assert figures.cloud_dropped + figures.cloud_failed == 30
            assert figures.cloud_failed > 0
            assert figures.intruders == camera.count("alarm_event") == 0
            if cloud == "slow":
                assert figures.cloud_dropped > 0


async def test_row_6_camera_before_its_edge_and_edge_restarted(
    unused_tcp_port: int, tmp_path: Path
) -> None:
    clip = video(tmp_path / "gate.avi", frames=300)
    recogniser = Answering(Verdict(Outcome.KNOWN))
    url = f"http://127.0.0.1:{unused_tcp_port}"
    async with cloud_of(recogniser) as (_, cloud_url):
        camera = await started("podstream-camera", clip, "--edge", url, "--send-fps", 10)
        alarm = await started("podstream-alarm", "--edge", url)
        try:
            for _ in range(2):
                await line_with(camera, f"No edge at {url}")
                async with edge_of(cloud_url, port=unused_tcp_port) as (edge, _):
                    await eventually(lambda e=edge: e.results().processed >= 2)  # type: ignore[misc]
                    await eventually(lambda e=edge: e.results().connections == 2)  # type: ignore[misc]
        finally:
            await stopped(camera)
            await stopped(alarm)


async def test_row_7_one_frame_a_second_leaves_the_camera(tmp_path: Path) -> None:
    """The default: of a 30 fps file of 4 s, about every 30th frame, about a second apart."""
    clip = video(tmp_path / "gate.avi", frames=120, scene=room())
    async with edge_of("http://127.0.0.1:9") as (edge, edge_url):
        begun = time.monotonic()
        camera = await started("podstream-camera", clip, "--edge", edge_url, "--once")
        code, _, errors = await ended(camera)
        seconds = time.monotonic() - begun
    sent = re.findall(r"Sent frame: (\S+)", errors)
    assert code == 0
    assert sent == [f"gate_frame{number}.jpg" for number in (1, 31, 61, 91)]
    assert edge.results().processed == 4
    assert seconds >= 3


async def test_row_8_one_person_is_enough_and_the_second_edges_alarm_is_silent() -> None:
    recogniser = Answering(Verdict(Outcome.UNKNOWN))
    async with (
        cloud_of(recogniser) as (_, cloud_url),
        edge_of(cloud_url) as (first, first_url),
        edge_of(cloud_url) as (second, second_url),
        device(first_url) as camera,
        device(first_url) as alarm,
        device(second_url) as other_alarm,
        device(second_url) as other_camera,
    ):
        await camera.send("f1.jpg", jpeg(room(portrait(person(STRANGER)))))
        await alarm.until("alarm_event")
        await camera.until("frame_processed")
        # Whatever the second edge had sent before would have come before this.
        await other_camera.send("empty.jpg", jpeg(room()))
        await other_camera.until("frame_processed")
        async with device(second_url):
            pass

        assert first.results().persons == 1
        assert alarm.count("alarm_event") == 1
        assert other_alarm.events == []
        assert other_camera.names("alarm_event") == []
        assert second.results().intruders == 0


async def test_row_9_log_lines_in_the_stated_form_per_component(
    tmp_path: Path, unused_tcp_port: int
) -> None:
    """Collecting is `kubectl podstream logs`, which takes one session's pods and nothing else."""
    clip = video(tmp_path / "gate.avi", frames=5)
    nowhere = f"http://127.0.0.1:{unused_tcp_port}"
    today = time.strftime("%Y-%m-%d")
    for command, arguments in (
        ("podstream-camera", [clip, "--once", "--tries", 1]),
        ("podstream-alarm", ["--once", "--tries", 1]),
    ):
        folder = tmp_path / command
        code, _, errors = await ended(
            await started(command, *arguments, "--edge", nowhere, "--log-dir", folder)
        )
        assert code == 3
        files = sorted(folder.iterdir())
        assert {file.name for file in files} <= {
            f"log_{today}.txt", f"log_{time.strftime('%Y-%m-%d')}.txt",
        }  # fmt: skip
        lines = [line for file in files for line in file.read_text().splitlines()]
        assert lines
        assert [line for line in lines if not LINE.fullmatch(line)] == []
        assert lines == errors.splitlines()


async def test_an_unopenable_video_ends_the_camera_with_an_error(tmp_path: Path) -> None:
    (tmp_path / "text.avi").write_text("no video")
    for place in (tmp_path / "missing.avi", tmp_path / "text.avi"):
        code, _, errors = await ended(await started("podstream-camera", place))
        assert code == 1
        assert f"Video cannot be opened: {place}" in errors


async def test_a_camera_begins_again_at_the_end_of_its_video(tmp_path: Path) -> None:
    clip = video(tmp_path / "gate.avi", frames=3, scene=room())
    async with edge_of("http://127.0.0.1:9") as (edge, edge_url):
        camera = await started("podstream-camera", clip, "--edge", edge_url, "--send-fps", 20)
        try:
            await eventually(lambda: edge.results().processed >= 8)
        finally:
            await stopped(camera)


def test_evidence_is_bounded_in_bytes(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path, limit=10, max_bytes=2500)
    at = datetime(2026, 11, 21, 10, 0, 0, tzinfo=UTC)
    for number in range(4):
        evidence.keep(bytes(1000), at=at + timedelta(seconds=number))
    assert [path.name for path in evidence.pictures()] == [
        "intruder_2026-11-21_10-00-02.jpg",
        "intruder_2026-11-21_10-00-03.jpg",
    ]
    evidence.keep(bytes(3000), at=at + timedelta(seconds=9))
    assert evidence.pictures() == []


async def test_evidence_is_kept_by_its_time_and_bounded(tmp_path: Path) -> None:
    folder = tmp_path / "debug_frames"
    settings = IntruderEdgeSettings(evidence=folder, max_evidence=3)
    async with (
        cloud_of(Answering(Verdict(Outcome.UNKNOWN))) as (_, cloud_url),
        edge_of(cloud_url, settings=settings) as (edge, edge_url),
        device(edge_url) as camera,
    ):
        scene = jpeg(room(portrait(person(STRANGER))))
        for number in range(6):
            await camera.send(f"f{number}.jpg", scene)
            await camera.until("frame_processed", number + 1)
        assert edge.results().intruders == 6
    kept = sorted(path.name for path in folder.iterdir())
    assert len(kept) == 3
    form = r"intruder_\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d(_\d+)?\.jpg"
    assert all(re.fullmatch(form, name) for name in kept)
    assert (folder / kept[0]).read_bytes() == scene
