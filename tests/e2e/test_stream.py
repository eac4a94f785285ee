"""Raw frames through the router's TCP port into a session's pod, and their figures in status."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from e2e import kube
from e2e.sessions import Session, session

pytestmark = pytest.mark.e2e

SPEC: dict[str, Any] = {
    "stream": {},
    "access": {"mode": "Public"},
    "listeners": ["frames"],
    "reconnectSeconds": 1,
}
FRAME = 640 * 480 * 3


@pytest.fixture
def camera() -> Iterator[Session]:
    with session(SPEC, prefix="camera") as made:
        made.wait_phase("Ready")
        yield made


def _address(made: Session) -> tuple[str, int]:
    host, _, port = made.endpoint("TCP").removeprefix("tcp://").rpartition(":")
    return host, int(port)


def _push(address: tuple[str, int], *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "podstream_workloads.stream.cli", "push"]
    return subprocess.run(
        [*command, "--host", address[0], "--port", str(address[1]), "--quiet", *arguments],
        text=True,
        capture_output=True,
        timeout=90,
        check=False,
    )


def _figures(made: Session) -> dict[str, Any]:
    found: dict[str, Any] = made.status.get("results", {}).get("stream", {})
    return found


def test_every_frame_that_is_pushed_is_counted(camera: Session) -> None:
    done = _push(_address(camera), "--pattern", "--frames", "120", "--fps", "60")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "sent 120 frames of 640x480\n"
    assert camera.wait_phase("Completed") == "Completed"
    figures = _figures(camera)
    assert figures["framesReceived"] == 120
    assert figures["bytesReceived"] == 120 * FRAME
    assert "suspectedWidth" not in figures
    assert camera.status["connection"]["protocol"] == "TCP"


def test_a_sheared_stream_is_reported(camera: Session) -> None:
    wrong = ("--size", "1280x720", "--frames", "10", "--fps", "0")
    done = _push(_address(camera), "--pattern", *wrong)
    assert done.returncode == 0, done.stderr
    camera.wait_phase("Completed")
    assert _figures(camera)["suspectedWidth"] == 1280


def test_second_publisher_is_turned_away(camera: Session) -> None:
    with socket.create_connection(_address(camera), timeout=10) as first:
        first.sendall(bytes(FRAME))
        camera.wait_phase("Connected")
        done = _push(_address(camera), "--pattern", "--frames", "300", "--fps", "0")
        assert done.returncode == 3
        assert "ended the connection" in done.stderr
        first.sendall(bytes(FRAME))
    camera.wait_phase("Completed")
    assert _figures(camera)["framesReceived"] == 2


def test_publishers_of_a_pool_get_a_pod_each() -> None:
    name = "cameras"
    template = {"spec": {key: SPEC[key] for key in ("stream", "access", "reconnectSeconds")}}
    pool = {
        "apiVersion": "podstream.dev/v1alpha1",
        "kind": "StreamPool",
        "metadata": {"name": name},
        "spec": {"warm": 2, "max": 3, "listeners": ["frames"], "template": template},
    }
    kube.apply(pool)
    try:
        kube.until(
            lambda: (kube.get("streampool", name) or {}).get("status", {}).get("warm") == 2,
            what="two warm pods",
            timeout_s=120,
        )
        (endpoint,) = (kube.get("streampool", name) or {})["status"]["endpoints"]
        host, _, port = endpoint["url"].removeprefix("tcp://").rpartition(":")
        address, counts = (host, int(port)), (11, 23)
        threads = [
            threading.Thread(target=_push, args=(address, "--pattern", "--frames", str(count)))
            for count in counts
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        kube.until(lambda: _ended(name) == sorted(counts), what="each publisher's own count")
    finally:
        kube.delete("streampool", name)
        for made in kube.items("streamsession", selector=f"podstream.dev/pool={name}"):
            kube.delete("streamsession", made["metadata"]["name"])


def _ended(pool: str) -> list[int]:
    sessions = kube.items("streamsession", selector=f"podstream.dev/pool={pool}")
    done = [made["status"] for made in sessions if made["status"].get("phase") == "Completed"]
    return sorted(status["results"]["stream"]["framesReceived"] for status in done)
