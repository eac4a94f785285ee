"""Every sample with a circle runs as a local process, played as its comments say."""

import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from fakes.balls import Scene
from fakes.video import write_video

pytestmark = pytest.mark.media

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = sorted(
    path
    for path in (ROOT / "crds/samples").glob("*.yaml")
    if (body := yaml.safe_load(path.read_text()))["kind"] == "StreamSession"
    and "circle" in body["spec"]
)
BIN = Path(sys.executable).parent


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _running(sample: Path, http: int, signalling: int) -> Iterator["subprocess.Popen[str]"]:
    command = [BIN / "podstream-run", sample, "--port", http, "--signalling-port", signalling]
    with subprocess.Popen(
        [str(part) for part in command],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                process.communicate(timeout=20)


def _until(process: "subprocess.Popen[str]", pattern: str) -> str:
    """Read the run's words until a line matches; the match's first group."""
    assert process.stderr is not None
    seen = []
    for line in process.stderr:
        seen.append(line)
        if found := re.search(pattern, line):
            return found.group(1)
    raise AssertionError(f"no {pattern!r} in:\n{''.join(seen)}")


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.stem)
def test_a_sample_runs_to_its_result(sample: Path, tmp_path: Path) -> None:
    spec = yaml.safe_load(sample.read_text())["spec"]
    http, signalling = _free_port(), _free_port()
    with _running(sample, http, signalling) as run:
        if "signalling" in spec.get("listeners", []):
            _until(run, r"phase\s+(Ready)")
            player = [sys.executable, str(ROOT / "tests/e2e/stock_client.py")]
            player += ["127.0.0.1", str(signalling), "--estimates", "40"]
            subprocess.run(player, check=True, timeout=90, stdout=subprocess.DEVNULL)
        elif not spec.get("client", {}).get("builtIn"):
            url, token = _until(run, r"WH[EI]P\s+(\S+)"), _until(run, r"token\s+(\S+)")
            player = [str(BIN / "podstream-client"), "--url", url, "--frames", "60"]
            if spec["circle"].get("source") == "Upload":
                write_video(tmp_path / "ball.mp4", Scene(width=320, height=240), frames=90)
                player += ["--upload", str(tmp_path / "ball.mp4"), "--loop"]
            subprocess.run(player, env={"PODSTREAM_CLIENT_TOKEN": token}, check=True, timeout=90)
        out, err = run.communicate(timeout=120)
    assert run.returncode == 0, err
    report: dict[str, Any] = json.loads(out)
    assert report["phase"] == "Completed"
    circle = report["results"]["circle"]
    assert max(circle["framesScored"], circle["framesFound"]) >= 40
    assert spec["circle"].get("source") == "Upload" or circle["rmsePx"] < 5
