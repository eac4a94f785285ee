"""Uploads to a real S3 server: signatures, checksums, parts, and its own words of refusal."""

import hashlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes import versitygw
from podstream_core.api import S3Storage, SecretRef
from podstream_workloads.stream.recording import uploading
from podstream_workloads.stream.recording.s3 import S3Bucket
from podstream_workloads.stream.recording.sealing import Finished
from podstream_workloads.stream.recording.uploading import StoreError
from stream.test_recorder import record
from stream.test_upload import recorder, until, upload

pytestmark = pytest.mark.long
BUCKET = "films"


@pytest.fixture
def address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"127.0.0.1:{free.getsockname()[1]}"


@pytest.fixture
def server(tmp_path: Path, address: str) -> Iterator[versitygw.Gateway]:
    with versitygw.gateway(tmp_path / "buckets", address=address, bucket=BUCKET) as made:
        yield made


def credentials(folder: Path, secret: str = versitygw.SECRET) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "accessKeyID").write_text(versitygw.KEY_ID)
    (folder / "secretAccessKey").write_text(secret)


def storage(url: str, bucket: str = BUCKET) -> S3Storage:
    return S3Storage(
        endpoint=url, bucket=bucket, prefix="cams", credentials_secret_ref=SecretRef(name="keys")
    )


def put(folder: Path, to: S3Storage, data: bytes, *, name: str = "a.mp4") -> str:
    path = folder / name
    path.write_bytes(data)
    made = S3Bucket(to, folder=folder / "keys", session_uid="uid")
    return made.put(Finished(path, 1, 1.0, len(data), hashlib.sha256(data).hexdigest()))


def test_small_files_and_files_in_parts_arrive_bit_by_bit(
    tmp_path: Path, server: versitygw.Gateway
) -> None:
    credentials(tmp_path / "keys")
    for name, size in (("small.mp4", 100_000), ("parts.mp4", 20 << 20)):
        data = os.urandom(size)
        url = put(tmp_path, storage(server.url), data, name=name)
        assert url == f"s3://{BUCKET}/cams/uid/{name}"
        assert (server.folder / BUCKET / "cams" / "uid" / name).read_bytes() == data


def test_a_second_file_of_the_name_does_not_replace_the_first(
    tmp_path: Path, server: versitygw.Gateway
) -> None:
    credentials(tmp_path / "keys")
    urls = [put(tmp_path, storage(server.url), data) for data in (b"one", b"two")]
    assert urls == [f"s3://{BUCKET}/cams/uid/a{suffix}.mp4" for suffix in ("", "-2")]
    found = sorted((server.folder / BUCKET / "cams" / "uid").iterdir())
    assert {path.read_bytes() for path in found} == {b"one", b"two"}


@pytest.mark.parametrize(
    ("secret", "bucket", "words"),
    [("wrong", BUCKET, "SignatureDoesNotMatch"), (versitygw.SECRET, "nowhere", "NoSuchBucket")],
)
def test_refusals_are_told_in_the_server_s_words(
    tmp_path: Path, server: versitygw.Gateway, secret: str, bucket: str, words: str
) -> None:
    credentials(tmp_path / "keys", secret)
    with pytest.raises(StoreError, match=words):
        put(tmp_path, storage(server.url, bucket), b"data")


def test_a_server_that_is_gone_for_a_while_has_everything_in_the_end(
    tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploading, "LONGEST_PAUSE_S", 0.2)
    credentials(tmp_path / "keys")
    server = versitygw.start(tmp_path / "buckets", address=address, bucket=BUCKET)
    made = recorder(tmp_path, storage(server.url))
    made.start()
    record(made, 12, fps=10)
    until(lambda: upload(made).files == 1)
    server.stop()
    record(made, 25, fps=10, start=200)
    made.stop()
    until(lambda: "Connection refused" in (upload(made).message or ""))
    with versitygw.gateway(tmp_path / "buckets", address=address, bucket=BUCKET):
        made.close(timeout_s=20)
        assert made.flush(timeout_s=60)
    assert made.results().frames == 37
    assert upload(made).message is None
    for file in made.shown():
        data = (tmp_path / "buckets" / BUCKET / "cams" / "uid" / file.name).read_bytes()
        assert hashlib.sha256(data).hexdigest() == file.sha256
