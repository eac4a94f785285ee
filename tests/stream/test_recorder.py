"""Frames offered to a recorder, and the files that a player opens afterwards."""

import errno
import hashlib
import shutil
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest

from podstream_core.api import Recording, RecordingCodec, StopReason
from podstream_workloads.stream.recording import sealing
from podstream_workloads.stream.recording.recorder import Place, Recorder
from podstream_workloads.stream.recording.sealing import Finished, seal
from podstream_workloads.stream.recording.segment import Segment, Whole
from stream.videos import level, open_video, steps

SIZE = (64, 48)
NOW = datetime(2026, 3, 9, 8, 5, 6, tzinfo=UTC)


def recorder(folder: Path, settings: Recording, *, size: tuple[int, int] = SIZE) -> Recorder:
    place = Place(folder=folder, session_uid="uid", session_name="cam")
    return Recorder(settings, size=size, place=place, on_change=lambda: None, now=lambda: NOW)


def record(made: Recorder, count: int, *, fps: float = 25.0, start: float = 100.0) -> None:
    for number, frame in enumerate(steps(*SIZE, count)):
        made.offer(frame, at=start + number / fps)


@pytest.mark.parametrize(
    ("codec", "form", "decoder", "tag"),
    [
        (RecordingCodec.XVID, "avi", "mpeg4", "XVID"),
        (RecordingCodec.MJPG, "avi", "mjpeg", "MJPG"),
        (RecordingCodec.H264, "mov,mp4,m4a,3gp,3g2,mj2", "h264", "avc1"),
    ],
)
def test_a_file_has_the_frames_at_their_rate(
    tmp_path: Path, codec: RecordingCodec, form: str, decoder: str, tag: str
) -> None:
    made = recorder(tmp_path, Recording(codec=codec))
    made.start()
    record(made, 30, fps=25)
    assert made.close(timeout_s=20)
    (file,) = made.finished
    assert file.path.name == "uid_video_09_Mar_08_05_06" + codec.extension
    video = open_video(file.path)
    assert (video.format, video.codec, video.tag) == (form, decoder, tag)
    assert (video.width, video.height) == SIZE
    assert (video.frames, video.counted) == (30, 30)
    assert video.fps == pytest.approx(25, rel=0.05)
    assert all(abs(found - level(n)) <= 8 for n, found in enumerate(video.levels))
    assert file.frames == 30
    assert file.seconds == pytest.approx(30 / 25, abs=0.05)
    assert file.bytes == file.path.stat().st_size
    assert file.sha256 == hashlib.sha256(file.path.read_bytes()).hexdigest()
    assert list(tmp_path.iterdir()) == [file.path]


def test_the_figures_tell_the_files(tmp_path: Path) -> None:
    made = recorder(tmp_path, Recording())
    assert not made.results().active
    made.start()
    assert made.results().active
    record(made, 5)
    made.stop()
    assert not made.results().active
    made.close(timeout_s=20)
    found, (shown,) = made.results(), made.shown()
    assert (found.files, found.frames, found.frames_dropped) == (1, 5, 0)
    assert (shown.name, shown.frames, shown.bytes) == (made.finished[0].path.name, 5, found.bytes)


def test_every_start_makes_a_new_file_with_just_its_frames(tmp_path: Path) -> None:
    made = recorder(tmp_path, Recording())
    made.start()
    record(made, 4)
    made.start()
    record(made, 6, start=200)
    made.stop()
    record(made, 8, start=300)
    made.start()
    record(made, 2, start=400)
    made.close(timeout_s=20)
    assert [open_video(item.path).frames for item in made.finished] == [4, 6, 2]
    names = ["uid_video_09_Mar_08_05_06" + suffix for suffix in (".avi", "-2.avi", "-3.avi")]
    assert [item.path.name for item in made.finished] == names


def test_segments_follow_each_other_without_a_gap(tmp_path: Path) -> None:
    made = recorder(tmp_path, Recording(segment_seconds=1, file_name="{name}-{index}"))
    made.start()
    record(made, 25, fps=10)
    made.close(timeout_s=20)
    assert [item.frames for item in made.finished] == [10, 10, 5]
    assert [item.path.name for item in made.finished] == [
        "cam-0001.avi",
        "cam-0002.avi",
        "cam-0003.avi",
    ]


def test_a_pause_of_the_publisher_does_not_slow_the_film_down(tmp_path: Path) -> None:
    made = recorder(tmp_path, Recording(segment_seconds=3600))
    made.start()
    record(made, 20, fps=20)
    record(made, 20, fps=20, start=400)
    made.close(timeout_s=20)
    (file,) = made.finished
    assert open_video(file.path).fps == pytest.approx(39 / (38 / 20 + 2), rel=0.01)


@pytest.mark.parametrize("size", [(64, 48), (65, 49)], ids=["even", "odd"])
@pytest.mark.parametrize("codec", [RecordingCodec.XVID, RecordingCodec.MJPG])
def test_colours_are_those_of_the_frames(
    tmp_path: Path, codec: RecordingCodec, size: tuple[int, int]
) -> None:
    made = recorder(tmp_path, Recording(codec=codec), size=size)
    made.start()
    frame = np.empty((size[1], size[0], 3), np.uint8)
    frame[:] = (200, 90, 40)
    for number in range(5):
        made.offer(frame, at=number / 10)
    made.close(timeout_s=20)
    with av.open(str(made.finished[0].path)) as container:
        *_, last = container.decode(video=0)
    assert np.abs(last.to_ndarray(format="bgr24").astype(int) - frame).max() <= 6


@pytest.mark.parametrize("codec", list(RecordingCodec))
def test_one_frame_is_a_film_too(tmp_path: Path, codec: RecordingCodec) -> None:
    made = recorder(tmp_path, Recording(codec=codec))
    made.start()
    record(made, 1)
    made.close(timeout_s=20)
    assert open_video(made.finished[0].path).frames == 1


def test_the_budget_ends_the_recording_with_a_whole_file(tmp_path: Path) -> None:
    size = (320, 240)
    settings = Recording(codec=RecordingCodec.MJPG, max_bytes=1 << 20)
    made = recorder(tmp_path, settings, size=size)
    noise = np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    made.start()
    for number in range(200):
        made.offer(noise, at=number / 2)
        until(lambda: made._box._waiting == 0)
    made.close(timeout_s=20)
    found = made.results()
    assert (found.active, found.stop_reason) == (False, StopReason.BUDGET)
    assert found.message is not None
    assert "maxBytes" in found.message
    assert found.bytes <= 2 << 20
    assert sum(open_video(item.path).frames for item in made.finished) == found.frames


def test_a_full_disk_ends_the_recording_with_a_whole_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = 1 << 30
    usage = lambda _folder: SimpleNamespace(free=free)  # noqa: E731
    monkeypatch.setattr(shutil, "disk_usage", usage)
    made = recorder(tmp_path, Recording())
    made.start()
    record(made, 10)
    until(lambda: made._box._waiting == 0)
    free = 1 << 20
    record(made, 10, start=200)
    made.close(timeout_s=20)
    assert made.results().stop_reason is StopReason.DISK_FULL
    assert open_video(made.finished[0].path).frames == 10


def test_no_room_for_the_index_loses_one_file_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Segment) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    made = recorder(tmp_path, Recording())
    made.start()
    record(made, 3)
    made.start()
    until(lambda: made.results().files == 1)
    monkeypatch.setattr(Segment, "finish", fail)
    record(made, 3)
    made.close(timeout_s=20)
    assert made.results().stop_reason is StopReason.DISK_FULL
    assert [item.name for item in tmp_path.iterdir()] == [made.finished[0].path.name]


def test_a_broken_mp4_is_kept_up_to_its_last_fragment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Segment) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Segment, "finish", fail)
    made = recorder(tmp_path, Recording(codec=RecordingCodec.H264))
    made.start()
    record(made, 50, fps=10)
    made.close(timeout_s=20)
    assert made.results().stop_reason is StopReason.DISK_FULL
    (file,) = made.finished
    assert file.path.suffix == ".mp4"
    assert open_video(file.path).frames == file.frames >= 30
    assert file.seconds == pytest.approx((file.frames - 1) / 10, abs=0.05)


def test_a_disk_that_does_not_keep_a_file_ends_the_next_one_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Whole) -> Finished:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(sealing, "seal", fail)
    made = recorder(tmp_path, Recording(segment_seconds=1, file_name="{index}"))
    made.start()
    record(made, 15, fps=10)
    until(lambda: made.results().stop_reason is StopReason.STORAGE)
    until(lambda: not list(tmp_path.glob("*.part")))
    assert made.close(timeout_s=20)
    assert {item.suffix for item in tmp_path.iterdir()} == {".avi"}
    assert made.results().files == 0


def test_settling_waits_for_the_last_of_two_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = [threading.Event(), threading.Event()]
    order = iter(held)

    def slow(whole: Whole) -> Finished:
        assert next(order).wait(20)
        return seal(whole)

    monkeypatch.setattr(sealing, "seal", slow)
    made = recorder(tmp_path, Recording(file_name="{index}"))
    for _ in range(2):
        made.start()
        record(made, 3)
        made.stop()
    held[0].set()
    until(lambda: made.results().files == 1)
    assert not made.settle(timeout_s=0.01)
    held[1].set()
    assert made.settle(timeout_s=20)
    made.close(timeout_s=20)


def test_a_folder_that_does_not_exist_is_made(tmp_path: Path) -> None:
    made = recorder(tmp_path / "a" / "b", Recording())
    made.start()
    record(made, 2)
    made.close(timeout_s=20)
    assert made.finished[0].path.parent == tmp_path / "a" / "b"


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("no folder")
    made = recorder(tmp_path / "a", Recording())
    made.start()
    record(made, 2)
    made.close(timeout_s=20)
    found = made.results()
    assert (found.stop_reason, found.active, found.files) == (StopReason.STORAGE, False, 0)


def test_it_can_be_started_again_after_a_failure(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("no folder")
    made = recorder(tmp_path / "a", Recording())
    made.start()
    record(made, 2)
    until(lambda: made.results().stop_reason is not None)
    (tmp_path / "a").unlink()
    made.start()
    record(made, 2)
    made.close(timeout_s=20)
    assert (made.results().stop_reason, made.results().frames) == (None, 2)


def test_an_encoder_that_is_behind_costs_frames_not_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offered = threading.Event()

    def slow(self: Segment, frame: object, *, at: float) -> None:
        assert offered.wait(60), "who offers a frame waits for the encoder"
        real(self, frame, at=at)  # type: ignore[arg-type]

    real = Segment.write
    monkeypatch.setattr(Segment, "write", slow)
    made = recorder(tmp_path, Recording(), size=(2048, 1536))
    made.start()
    for number, frame in enumerate(steps(2048, 1536, 30)):
        made.offer(frame, at=number / 30)
    offered.set()
    assert made.close(timeout_s=60)
    found = made.results()
    assert found.frames_dropped > 10
    assert found.frames + found.frames_dropped == 30


def test_what_a_killed_process_leaves_of_an_mp4_can_be_played(tmp_path: Path) -> None:
    part = Segment(tmp_path / "a.mp4", codec=RecordingCodec.H264, width=64, height=48)
    for number, frame in enumerate(steps(64, 48, 50)):
        part.write(frame, at=number / 10)
    left = tmp_path / "left.mp4"
    left.write_bytes((tmp_path / "a.mp4.part").read_bytes())
    part.abandon()
    assert open_video(left).frames >= 30


def until(condition: "object") -> None:
    deadline = time.monotonic() + 20
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_slow_disk_holds_up_no_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting for the disk and taking checksums happen beside the next segment."""
    is_fast = threading.Event()

    def slow(whole: Whole) -> Finished:
        assert is_fast.wait(20)
        return seal(whole)

    monkeypatch.setattr(sealing, "seal", slow)
    made = recorder(tmp_path, Recording(segment_seconds=1, file_name="{index}"))
    made.start()
    record(made, 40, fps=10)
    until(lambda: len(list(tmp_path.glob("*.avi"))) == 3)
    until(lambda: made._box._waiting == 0)
    assert made.results().files == 0
    made.stop()
    assert not made.settle(timeout_s=0.01)
    is_fast.set()
    assert made.settle(timeout_s=20)
    assert [item.frames for item in made.finished] == [10, 10, 10, 10]
    made.close(timeout_s=20)
