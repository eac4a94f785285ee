"""Recordings on their way to a bucket: whole, in order, and whatever the server does."""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from fakes.s3_server import BUCKET, S3, s3_server
from podstream_core.api import (
    Recording,
    RecordingCodec,
    S3Storage,
    SecretRef,
    StopReason,
    Stream,
    UploadResults,
)
from podstream_workloads.stream.recording import sealing, uploading
from podstream_workloads.stream.recording.recorder import Place, Recorder
from podstream_workloads.stream.recording.s3 import S3Bucket
from podstream_workloads.stream.recording.s3_errors import explain
from podstream_workloads.stream.recording.segment import Whole
from stream.test_recorder import NOW, SIZE, record
from stream.test_recording import push
from stream.test_workload import configured, figures

SEGMENTS = Recording(segment_seconds=1, file_name="{name}-{index}")


@pytest.fixture(autouse=True)
def _no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploading, "LONGEST_PAUSE_S", 0.05)


@pytest.fixture
def server() -> Iterator[S3]:
    with s3_server() as state:
        yield state


def credentials(folder: Path, key_id: str = "AKID") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "accessKeyID").write_text(f"{key_id}\n")
    (folder / "secretAccessKey").write_text("secret\n")
    return folder


def storage(url: str, *, bucket: str = BUCKET) -> S3Storage:
    return S3Storage(
        endpoint=url, bucket=bucket, prefix="cams", credentials_secret_ref=SecretRef(name="keys")
    )


def recorder(
    folder: Path, to: S3Storage, settings: Recording = SEGMENTS, *, size: tuple[int, int] = SIZE
) -> Recorder:
    store = S3Bucket(to, folder=folder / "keys", session_uid="uid")
    place = Place(folder=folder / "films", session_uid="uid", session_name="cam", store=store)
    return Recorder(settings, size=size, place=place, on_change=lambda: None, now=lambda: NOW)


def upload(made: Recorder) -> UploadResults:
    found = made.results().upload
    assert found is not None
    return found


def until(is_there: Callable[[], bool], *, within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    while not is_there():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_finished_files_are_in_the_bucket_with_their_checksums(tmp_path: Path, server: S3) -> None:
    credentials(tmp_path / "keys")
    made = recorder(tmp_path, storage(server.url))
    made.start()
    record(made, 25, fps=10)
    assert made.close(timeout_s=20)
    assert made.flush(timeout_s=20)
    files = made.shown()
    assert [file.frames for file in files] == [10, 10, 5]
    for file in files:
        assert file.url == f"s3://{BUCKET}/cams/uid/{file.name}"
        stored = server.objects[f"/{BUCKET}/cams/uid/{file.name}"]
        assert len(stored.data) == file.bytes
        assert hashlib.sha256(stored.data).hexdigest() == stored.sha256 == file.sha256
        assert stored.content_type == "video/x-msvideo"
    assert server.order == [f"/{BUCKET}/cams/uid/{file.name}" for file in files]
    found = upload(made)
    assert (found.files, found.waiting, found.message) == (3, 0, None)
    assert found.bytes == sum(file.bytes for file in files)


def test_an_outage_costs_no_frame_and_no_file(tmp_path: Path, server: S3) -> None:
    credentials(tmp_path / "keys")
    server.refusal = (503, "SlowDown")
    made = recorder(tmp_path, storage(server.url))
    made.start()
    record(made, 25, fps=10)
    assert made.close(timeout_s=20)
    assert not made.flush(timeout_s=0.1)
    until(lambda: server.attempts >= 2)
    found = upload(made)
    assert (found.files, found.waiting) == (0, 3)
    assert found.waiting_names == ["cam-0001.avi", "cam-0002.avi", "cam-0003.avi"]
    assert found.message is not None
    assert "503 Service Unavailable" in found.message
    assert made.results().frames == 25
    assert made.results().frames_dropped == 0
    server.refusal = None
    assert made.flush(timeout_s=20)
    assert (upload(made).files, upload(made).message) == (3, None)


def test_a_server_that_does_not_listen_is_named(tmp_path: Path) -> None:
    credentials(tmp_path / "keys")
    with s3_server() as gone:
        url = gone.url
    made = recorder(tmp_path, storage(url))
    made.start()
    record(made, 2)
    made.close(timeout_s=20)
    until(lambda: upload(made).message is not None)
    assert upload(made).message == f"bucket {BUCKET} at {url}: Connection refused"


def test_wrong_credentials_are_told_and_right_ones_taken_without_a_restart(
    tmp_path: Path, server: S3
) -> None:
    made = recorder(tmp_path, storage(server.url))
    made.start()
    record(made, 2)
    made.close(timeout_s=20)
    until(lambda: "Secret keys has to have the keys" in (upload(made).message or ""))
    credentials(tmp_path / "keys", "OLD")
    until(lambda: "InvalidAccessKeyId" in (upload(made).message or ""))
    credentials(tmp_path / "keys")
    assert made.flush(timeout_s=20)
    assert upload(made).message is None


@pytest.mark.parametrize("key", ["accessKeyID", "sessionToken"])
def test_a_line_break_in_a_credential_is_told_and_mended_without_a_restart(
    tmp_path: Path, server: S3, key: str
) -> None:
    """Such a header is a panic below the library, which ended the thread for good."""
    folder = credentials(tmp_path / "keys")
    before = (folder / key).read_text() if (folder / key).exists() else None
    (folder / key).write_text("AKID\nsecret\n")
    made = recorder(tmp_path, storage(server.url))
    made.start()
    record(made, 2)
    made.close(timeout_s=20)
    until(lambda: "line break" in (upload(made).message or ""))
    if before is None:
        (folder / key).unlink()
    else:
        (folder / key).write_text(before)
    assert made.flush(timeout_s=20)


def test_a_file_that_somebody_took_away_keeps_none_waiting(tmp_path: Path, server: S3) -> None:
    server.refusal = (503, "SlowDown")
    credentials(tmp_path / "keys")
    made = recorder(tmp_path, storage(server.url))
    made.start()
    record(made, 15, fps=10)
    made.close(timeout_s=20)
    (tmp_path / "films/cam-0001.avi").unlink()
    server.refusal = None
    assert made.flush(timeout_s=20)
    assert server.order == [f"/{BUCKET}/cams/uid/cam-0002.avi"]


def test_the_last_file_is_waited_for_however_long_it_takes_to_finish(
    tmp_path: Path, server: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was lost, and all was said to be there: what is not sealed does not wait for a copy."""
    may_seal = threading.Event()
    seal = sealing.seal

    def slow(whole: Whole) -> sealing.Finished:
        may_seal.wait(20)
        return seal(whole)

    monkeypatch.setattr(sealing, "seal", slow)
    credentials(tmp_path / "keys")
    made = recorder(tmp_path, storage(server.url))
    made.start()
    record(made, 2)
    assert not made.close(timeout_s=0.01)
    assert not made.flush(timeout_s=0.01)
    may_seal.set()
    assert made.flush(timeout_s=20)
    assert server.order == [f"/{BUCKET}/cams/uid/cam-0001.avi"]


def test_a_bucket_that_does_not_exist_is_told(tmp_path: Path, server: S3) -> None:
    credentials(tmp_path / "keys")
    made = recorder(tmp_path, storage(server.url, bucket="nowhere"))
    made.start()
    record(made, 2)
    made.close(timeout_s=20)
    until(lambda: "NoSuchBucket" in (upload(made).message or ""))


def test_a_name_that_the_bucket_has_already_is_not_taken_from_it(
    tmp_path: Path, server: S3
) -> None:
    credentials(tmp_path / "keys")
    for number in (1, 2):
        made = recorder(tmp_path / str(number), storage(server.url))
        (tmp_path / str(number)).mkdir()
        credentials(tmp_path / str(number) / "keys")
        made.start()
        record(made, number)
        made.close(timeout_s=20)
        assert made.flush(timeout_s=20)
    assert server.order == [
        f"/{BUCKET}/cams/uid/cam-0001.avi",
        f"/{BUCKET}/cams/uid/cam-0001-2.avi",
    ]


NOISE = np.random.default_rng(1).integers(0, 255, (240, 320, 3), np.uint8)
SMALL = Recording(
    codec=RecordingCodec.MJPG, segment_seconds=1, max_bytes=1 << 20, file_name="{index}"
)


def fill(made: Recorder, frames: int, *, wait: Callable[[int], bool] = lambda _files: True) -> None:
    """Five frames a file; `wait` is asked until it agrees, with the number of finished files."""
    for number in range(frames):
        made.offer(NOISE, at=number / 5)
        if number % 5 == 4:
            # The first frame of the next file finishes one.
            until(partial(wait, number // 5))


def test_what_the_bucket_has_makes_room_on_the_disk(tmp_path: Path, server: S3) -> None:
    credentials(tmp_path / "keys")
    made = recorder(tmp_path, storage(server.url), SMALL, size=(320, 240))
    made.start()
    # Each file is in the bucket before the one after the next is begun.
    fill(made, 40, wait=lambda files: upload(made).files >= files)
    made.close(timeout_s=20)
    assert made.flush(timeout_s=20)
    found = made.results()
    assert (found.stop_reason, found.frames, found.files) == (None, 40, 8)
    assert found.bytes > SMALL.max_bytes
    on_disk = {path.name for path in (tmp_path / "films").iterdir()}
    assert on_disk == {item.path.name for item in made.finished}
    # The room is looked at four times a second.
    assert sum(item.bytes for item in made.finished) <= 1.25 * SMALL.max_bytes
    assert len(server.objects) == 8


def test_without_the_bucket_the_budget_ends_the_recording_and_keeps_its_files(
    tmp_path: Path, server: S3
) -> None:
    credentials(tmp_path / "keys")
    server.refusal = (500, "InternalError")
    made = recorder(tmp_path, storage(server.url), SMALL, size=(320, 240))
    made.start()
    fill(made, 60)
    made.close(timeout_s=20)
    found = made.results()
    assert found.stop_reason is StopReason.BUDGET
    assert len(made.finished) == found.files == upload(made).waiting
    server.refusal = None
    assert made.flush(timeout_s=20)
    assert len(server.objects) == found.files


async def test_the_session_s_end_waits_for_the_bucket(tmp_path: Path, server: S3) -> None:
    credentials(tmp_path / "recording-s3")
    spec = Stream(width=64, height=48, recording=Recording(s3=storage(server.url)))
    async with configured(tmp_path, spec=spec) as (workload, context):
        assert workload.flush_seconds == 60
        await push(workload, 5)
        await context.reported("lost c1")
        await workload.drain()
        await workload.flush()
        (file,) = (await figures(workload)).recordings
        assert file.url == f"s3://{BUCKET}/cams/u/{file.name}"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x: error: Custom { error: InvalidCertificate(Other(UnknownIssuer", "not trusted"),
        ("kind: Timeout, source: TimedOut", "networkPolicy.storage"),
        ("Server returned non-2xx status code: 404 Not Found: ", "is there such a bucket"),
        ("Server returned non-2xx status code: 403 Forbidden: ", "may not write"),
        (
            "Generic S3 error: Error performing PUT http://h/b/k in 3.1ms - odd\nDebug: key=SECRET",
            "odd",
        ),
    ],
)
def test_causes_are_one_line_without_the_request(text: str, words: str) -> None:
    found = explain(text)
    assert words in found
    assert "SECRET" not in found
    assert "\n" not in found
