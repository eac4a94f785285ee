"""What cameras, alarms and the edge's queue decide without a network."""

import itertools
import logging
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from podstream_workloads.tracking.intruder.buckets import TokenBucket
from podstream_workloads.tracking.intruder.cloud.client import read_answer
from podstream_workloads.tracking.intruder.devices.camera import parse
from podstream_workloads.tracking.intruder.devices.link import pauses
from podstream_workloads.tracking.intruder.devices.logs import DailyFile, DeviceFormatter
from podstream_workloads.tracking.intruder.devices.video import find
from podstream_workloads.tracking.intruder.site.edge import overall
from podstream_workloads.tracking.intruder.site.frames import Frame, WaitingFrames
from podstream_workloads.tracking.intruder.verdict import Outcome, Verdict, undetermined


def test_pauses_double_up_to_half_a_minute() -> None:
    waits = list(itertools.islice(pauses(spread=lambda: 0.0), 8))
    assert waits == [1, 2, 4, 8, 16, 30, 30, 30]
    assert next(pauses(spread=lambda: -1.0)) == 0.75


def test_the_environment_of_existing_containers_is_read() -> None:
    options = parse(
        [],
        environment={"CAMERA": "video1.avi", "EDGE_URL": "http://edge:5001", "INITIAL_DELAY": "20"},
    )
    assert (options.camera, options.edge, options.initial_delay_s) == (
        "video1.avi", "http://edge:5001", 20.0,
    )  # fmt: skip
    assert (options.send_fps, options.once) == (1.0, False)


def test_flags_win_over_the_environment() -> None:
    options = parse(["b.avi", "--send-fps", "2"], environment={"CAMERA": "a.avi", "SEND_FPS": "5"})
    assert (options.camera, options.send_fps) == ("b.avi", 2.0)


@pytest.mark.parametrize(
    "arguments",
    [[], ["a.avi", "--send-fps", "0"], ["a.avi", "--send-fps", "nan"],
     ["a.avi", "--initial-delay", "-1"], ["a.avi", "--token-file", "/nonexistent"]],
    ids=["no-camera", "no-frames", "nan", "past", "no-token"],
)  # fmt: skip
def test_wrong_flags_end_with_code_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(arguments, environment={})
    assert ended.value.code == 2


def test_a_bare_name_is_looked_for_in_camera_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "camera_set").mkdir()
    (tmp_path / "camera_set" / "video1.avi").touch()
    assert find("video1.avi") == "camera_set/video1.avi"
    assert find("video2.avi") == "video2.avi"
    assert find("rtsp://gate/main") == "rtsp://gate/main"


def test_a_log_rolls_over_at_midnight(tmp_path: Path) -> None:
    handler = DailyFile(tmp_path / "logs")
    handler.setFormatter(DeviceFormatter())
    for day, level in ((1, logging.WARNING), (2, logging.INFO)):
        record = logging.LogRecord("x", level, "camera.py", 42, "day %d", (day,), None, "send")
        record.created = datetime(2026, 3, day, 12).astimezone().timestamp()
        record.msecs = 7.0
        handler.emit(record)
    handler.close()
    assert {path.name: path.read_text() for path in (tmp_path / "logs").iterdir()} == {
        "log_2026-03-01.txt": "2026-03-01 12:00:00,007 - WARN  - camera.py:send:42 - day 1\n",
        "log_2026-03-02.txt": "2026-03-02 12:00:00,007 - INFO  - camera.py:send:42 - day 2\n",
    }


@pytest.mark.parametrize("command", ["podstream-camera", "podstream-alarm", "podstream-faces"])
def test_help_has_examples_and_exit_codes(command: str) -> None:
    said = subprocess.run(
        [str(Path(sys.executable).parent / command), "--help"],
        capture_output=True, text=True, check=True, timeout=120,
    ).stdout  # fmt: skip
    assert "examples:" in said
    assert "exit codes:" in said


def test_a_bucket_lets_bursts_pass_and_then_its_rate() -> None:
    now = [100.0]
    bucket = TokenBucket(2, burst=3, clock=lambda: now[0])
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]
    assert bucket.wait_s() == pytest.approx(0.5)
    now[0] += 0.5
    assert [bucket.take(), bucket.take()] == [True, False]
    now[0] += 3600
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        (b'{"result": true}', Verdict(Outcome.UNKNOWN)),
        (b'{"result": false}', Verdict(Outcome.KNOWN)),
        (b'{"result": false, "reason": "no face"}', undetermined("no face")),
        (b'{"result": "true"}', None),
        (b'{"result": 1}', None),
        (b"[]", None),
        (b"<html>", None),
        (b"[" * 60_000, None),
    ],
    ids=["stranger", "known", "undetermined", "text", "number", "list", "html", "deep"],
)
def test_only_a_clear_answer_of_the_cloud_is_one(body: bytes, verdict: Verdict | None) -> None:
    assert read_answer(body) == verdict


def test_one_stranger_among_many_is_an_intruder() -> None:
    known, stranger = Verdict(Outcome.KNOWN), Verdict(Outcome.UNKNOWN)
    assert overall([known, undetermined("no face"), stranger]) is Outcome.UNKNOWN
    assert overall([known, undetermined("no face")]) is Outcome.UNDETERMINED
    assert overall([known, known]) is Outcome.KNOWN


async def test_cameras_take_turns_each_first_in_first_out() -> None:
    frames = WaitingFrames(per_camera=2, max_bytes=1000, max_cameras=4)
    for name in ("a1", "a2", "a3", "b1", "c1"):
        gone = frames.put(Frame(name[0], name, b"12", 0.0))
        assert [frame.name for frame in gone] == (["a1"] if name == "a3" else [])
    assert [(await frames.get()).name for _ in range(4)] == ["a2", "b1", "c1", "a3"]
    assert (len(frames), frames.waiting_bytes) == (0, 0)


async def test_bytes_beyond_the_bound_come_from_the_fullest_camera() -> None:
    frames = WaitingFrames(per_camera=32, max_bytes=100, max_cameras=4)
    frames.put(Frame("small", "s", bytes(10), 0.0))
    gone = [frames.put(Frame("big", f"b{number}", bytes(40), 0.0)) for number in range(3)]
    assert [[frame.name for frame in each] for each in gone] == [[], [], ["b0"]]
    assert frames.waiting_bytes == 90
