"""A whole session without Kubernetes: pushed, looked at by two, recorded, kept."""

import json
import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

from podstream_workloads.stream.cli.__main__ import main
from podstream_workloads.stream.pattern import pattern
from stream.videos import open_video

SIZE = (320, 240)
SPEC: dict[str, Any] = {
    "stream": {
        "width": SIZE[0],
        "height": SIZE[1],
        "maxViewers": 2,
        "recording": {"codec": "MJPG"},
    },
    "access": {"mode": "Public"},
    "listeners": ["frames"],
    "reconnectSeconds": 1,
}


class LocalSession:
    """`podstream-run` as a process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        manifest = {
            "apiVersion": "podstream.dev/v1alpha1",
            "kind": "StreamSession",
            "metadata": {"name": "cam"},
            "spec": SPEC,
        }
        (folder / "spec.yaml").write_text(yaml.safe_dump(manifest))
        ports = ["--port", "0", "--frames-port", "0", "--artefacts", str(folder / "kept")]
        command = [sys.executable, "-m", "podstream_workloads.local", *ports]
        with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
            self.popen = subprocess.Popen(
                [*command, str(folder / "spec.yaml")], stdout=out, stderr=err
            )
        self.url = self._says(r"view +(http://\S+)/mjpeg")
        self.port = self._says(r"frames +127.0.0.1:(\d+)")
        self._says("phase +Ready")

    def _says(self, text: str) -> str:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            found = re.search(text, (self.folder / "err").read_text())
            if found:
                return found[found.lastindex or 0]
            assert self.popen.poll() is None, (self.folder / "err").read_text()
            time.sleep(0.02)
        raise AssertionError((self.folder / "err").read_text())

    def push(self, count: int, *, fps: int) -> int:
        target = ["--host", "127.0.0.1", "--port", self.port, "--size", f"{SIZE[0]}x{SIZE[1]}"]
        rate = ["--fps", str(fps), "--frames", str(count)]
        return main(["push", *target, *rate, "--pattern", "--quiet"])

    def report(self) -> Any:
        assert self.popen.wait(30) == 0, (self.folder / "err").read_text()
        return json.loads((self.folder / "out").read_text())


@pytest.fixture
def local(tmp_path: Path) -> Iterator[LocalSession]:
    session = LocalSession(tmp_path)
    yield session
    if session.popen.poll() is None:
        session.popen.terminate()
        session.popen.wait(20)


def test_frames_reach_viewers_and_file(local: LocalSession) -> None:
    seen = local.folder / "seen"
    view = [local.url, "--size", f"{SIZE[0]}x{SIZE[1]}", "--frames", "10", "--out", str(seen)]
    codes: list[int] = []
    viewer = threading.Thread(target=lambda: codes.append(main(["view", *view])))
    with urllib.request.urlopen(f"{local.url}/mjpeg", timeout=30) as browser:
        assert browser.headers["Content-Type"].startswith("multipart/x-mixed-replace")
        viewer.start()
        assert local.push(80, fps=20) == 0
        assert b"Content-Type: image/jpeg" in browser.read(4096)
    viewer.join(30)
    assert codes == [0]
    pushed = {frame.tobytes() for frame in islice(pattern(*SIZE), 80)}
    frames = [cv2.imread(str(path)) for path in sorted(seen.iterdir())]
    assert len(frames) == 10
    assert all(np.asarray(frame).tobytes() in pushed for frame in frames)
    report = local.report()
    figures = report["results"]["stream"]
    assert figures["framesReceived"] == 80
    (file,) = figures["recordings"]
    video = open_video(local.folder / "kept" / f"stream-{file['name']}")
    assert (video.frames, video.width, video.height) == (80, *SIZE)
    assert 10 < video.fps < 30


def test_view_of_nothing_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["view", "http://127.0.0.1:1/s/a/b", "--out", "x"]) == 3
    assert "Check host and port" in capsys.readouterr().err
    assert main(["view", "camera", "--out", "x"]) == 3
    assert "no URL of a session" in capsys.readouterr().err


def test_refused_view_has_the_router_s_words(
    local: LocalSession, capsys: pytest.CaptureFixture[str]
) -> None:
    with (
        urllib.request.urlopen(f"{local.url}/mjpeg", timeout=30),
        urllib.request.urlopen(f"{local.url}/frames", timeout=30),
    ):
        assert main(["view", local.url, "--out", "x"]) == 3
        assert "2 places for a viewer" in capsys.readouterr().err
