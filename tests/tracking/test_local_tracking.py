"""A site and its camera without Kubernetes: two processes of `podstream-run`."""

import json
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from podstream_workloads.local.__main__ import main

SITE: dict[str, Any] = {"tracking": {"orchestrator": {}}}
CAMERA: dict[str, Any] = {
    "tracking": {"camera": {"id": "gate", "siteRef": {"name": "yard"}, "fps": 20}}
}
PATIENCE_S = 120.0


def write(folder: Path, name: str, spec: dict[str, Any]) -> Path:
    manifest = {
        "apiVersion": "podstream.dev/v1alpha1",
        "kind": "StreamSession",
        "metadata": {"name": name},
        "spec": spec,
    }
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump(manifest))
    return file


class Run:
    """One process and what it has said."""

    def __init__(self, file: Path, *flags: str) -> None:
        self._err = file.with_suffix(".err")
        self._out = file.with_suffix(".out")
        command = [sys.executable, "-m", "podstream_workloads.local", "--port", "0", *flags]
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._popen = subprocess.Popen([*command, str(file)], stdout=out, stderr=err)

    def says(self, text: str) -> str:
        """Wait for a line; its first group."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            found = re.search(text, self._err.read_text())
            if found:
                return found.group(1)
            assert self._popen.poll() is None, self._err.read_text()
            time.sleep(0.05)
        raise AssertionError(f"{text} was not said: {self._err.read_text()}")

    def end(self) -> dict[str, Any]:
        """Stop it; its last figures."""
        self._popen.send_signal(signal.SIGINT)
        self._popen.wait(PATIENCE_S)
        found: dict[str, Any] = json.loads(self._out.read_text())["results"]["tracking"]
        return found

    def kill(self) -> None:
        self._popen.kill()
        self._popen.wait(PATIENCE_S)


@contextmanager
def running(file: Path, *flags: str) -> Iterator[Run]:
    run = Run(file, *flags)
    try:
        yield run
    finally:
        run.kill()


def test_a_camera_reaches_the_site_that_runs_beside_it(tmp_path: Path) -> None:
    with running(write(tmp_path, "yard", SITE), "--web-port", "0") as site:
        url = site.says(r"web +(http://\S+)")
        with urllib.request.urlopen(f"{url}/objectIds", timeout=PATIENCE_S) as answer:
            assert json.load(answer) == {"data": []}
        with running(write(tmp_path, "gate", CAMERA), "--peer", url) as camera:
            camera.says(r'"connected": (true)')
            site.says(r'"boxesIn": ([1-9])')
            assert camera.end()["camera"]["sent"] > 0
        assert site.end()["orchestrator"]["boxesIn"] > 0


@pytest.mark.parametrize(
    ("spec", "flags", "words"),
    [
        pytest.param(CAMERA, [], "--peer http", id="camera-without-its-site"),
        pytest.param(SITE, ["--peer", "http://127.0.0.1:1"], "reaches no other", id="site"),
        pytest.param(
            {"tracking": {"recognition": {"gallery": {"claimName": "faces", "path": "g"}}}},
            [],
            "--mount faces=DIR",
            id="cloud-without-its-gallery",
        ),
    ],
)
def test_what_is_missing_is_said_at_once(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    spec: dict[str, Any],
    flags: list[str],
    words: str,
) -> None:
    assert main([*flags, str(write(tmp_path, "s", spec))]) == 2
    assert words in capfd.readouterr().err
