"""A real S3 server over a folder: Versity's gateway, built from its Go module into the cache."""

import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from testcluster.errors import ClusterError
from testcluster.instance import from_environment
from testcluster.s3 import ensure_s3

KEY_ID = "podstream-test"
SECRET = "not-a-secret-of-anybody"
REGION = "us-east-1"


def program() -> Path:
    """The server; the test is skipped where it cannot be built, with what is missing."""
    try:
        return ensure_s3(from_environment().cache)
    except ClusterError as error:
        pytest.skip(f"no S3 server to test against: {error}")


@dataclass(frozen=True)
class Gateway:
    """A server that runs."""

    process: subprocess.Popen[bytes]
    url: str
    folder: Path

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)


def start(folder: Path, *, address: str, bucket: str) -> Gateway:
    """Serve the folders below `folder` as buckets on `HOST:PORT`, once it answers."""
    (folder / bucket).mkdir(parents=True, exist_ok=True)
    with (folder.parent / "versitygw.log").open("ab") as log:
        process = subprocess.Popen(
            [
                program(),
                "--access",
                KEY_ID,
                "--secret",
                SECRET,
                "--region",
                REGION,
                "--port",
                address,
                "posix",
                folder,
            ],
            stdout=log,
            stderr=log,
        )
    made = Gateway(process, f"http://{address}", folder)
    deadline = time.monotonic() + 60
    while not _answers(made.url):
        assert process.poll() is None, (folder.parent / "versitygw.log").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return made


@contextmanager
def gateway(folder: Path, *, address: str, bucket: str) -> Iterator[Gateway]:
    """Serve for a while."""
    made = start(folder, address=address, bucket=bucket)
    try:
        yield made
    finally:
        made.stop()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except urllib.error.HTTPError as error:
        error.close()
        return True  # it asks for a signature
    except OSError:
        return False
