"""Every sample runs as a local process, used as its comments say."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

from fakes.balls import Scene
from fakes.local_run import BIN, LocalRun, local_run
from fakes.s3_server import S3, s3_server
from fakes.video import write_video

pytestmark = pytest.mark.media

ROOT = Path(__file__).resolve().parents[2]
# Of tracking, which has many connections, no session runs locally: its parts have programs. But a
# camera that looks at the session's stream has none.
SAMPLES = sorted(
    path
    for path in (ROOT / "crds/samples").glob("*.yaml")
    if "tracking" not in (spec := yaml.safe_load(path.read_text())["spec"]) or "stream" in spec
)
PORTS = ("--port", "--signalling-port", "--grpc-port", "--frames-port")
FRAMES = 30


def _free_ports(count: int) -> list[str]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [str(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


@contextmanager
def _running(
    sample: Path, folder: Path, *flags: str, bucket: S3 | None = None
) -> Iterator[LocalRun]:
    """A run of the sample, which gives a client that has left a second to come back.

    Its bucket, where it names one, is at the server that is given.
    """
    manifest = yaml.safe_load(sample.read_text())
    spec = manifest["spec"]
    (spec["template"]["spec"] if "template" in spec else spec)["reconnectSeconds"] = 1
    if bucket is not None:
        spec["stream"]["recording"]["s3"]["endpoint"] = bucket.url
    flags += tuple(
        part for pair in zip(PORTS, _free_ports(len(PORTS)), strict=True) for part in pair
    )
    with local_run(manifest, folder, *flags) as run:
        yield run


def _call(*command: str, **env: str) -> None:
    program, *flags = command
    subprocess.run(
        [str(BIN / program), *flags],
        env=env or None,
        check=True,
        timeout=90,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _play_circle(run: LocalRun, spec: dict[str, Any], folder: Path) -> dict[str, Any]:
    is_seen_here = spec["circle"].get("source") in ("Upload", "Stream")
    if "signalling" in spec.get("listeners", []):
        host, port = run.says(r"signalling\s+(\S+)").split(":")
        run.says(r"phase\s+(Ready)")
        _call("python", str(ROOT / "tests/e2e/stock_client.py"), host, port, "--estimates", "40")
    elif not spec.get("client", {}).get("builtIn"):
        url = run.says(r"WH[EI]P\s+(\S+)")
        env = {}
        if spec.get("access", {}).get("mode") != "Public":
            env["PODSTREAM_CLIENT_TOKEN"] = run.says(r"token\s+(\S+)")
        run.says(r"phase\s+(Ready)")
        count = spec["circle"].get("frames") or (150 if "stream" in spec else 60)
        flags = ["--url", url, "--frames", str(count)]
        if is_seen_here:
            write_video(folder / "ball.mp4", Scene(width=320, height=240), frames=90)
            flags += ["--upload", str(folder / "ball.mp4"), "--loop"]
        _call("podstream-client", *flags, **env)
    report = run.report()
    circle = report["results"]["circle"]
    assert max(circle["framesScored"], circle["framesFound"]) >= 40
    assert is_seen_here or circle["rmsePx"] < 5
    return report


def _check_onlookers(results: dict[str, Any]) -> None:
    """Each workload has looked at the frames of the one stream, or says that it has missed them."""
    frames = results["stream"]["framesReceived"]
    circle, pictures = results["circle"], results["imageOps"]["stream"]
    camera = results["tracking"]["camera"]
    assert results["stream"]["recording"]["frames"] == frames
    counted = circle["framesFound"] + circle["framesMissed"] + circle["framesDropped"]
    assert counted == circle["framesReceived"] <= frames
    assert 0 < pictures["frames"] + pictures["dropped"] <= frames
    assert (pictures["width"], pictures["height"]) == (320, 240)
    assert 0 < camera["frames"] + camera["dropped"] + camera["skipped"] <= frames


def _turn_picture(run: LocalRun, folder: Path) -> dict[str, Any]:
    host, port = run.says(r"gRPC\s+(\S+)").split(":")
    run.says(r"phase\s+(Ready)")
    _save_picture(folder / "photo.png")
    flags = ["--host", host, "--port", port, "--rotate", "NINETY_DEG"]
    files = ["--input", str(folder / "photo.png"), "--output", str(folder / "turned.png")]
    _call("podstream-image", *flags, *files)
    turned = cv2.imread(str(folder / "turned.png"))
    assert turned is not None
    assert turned.shape == (60, 40, 3)
    report = run.report()
    assert report["results"]["imageOps"]["calls"] == 1
    return report


def _stream_frames(run: LocalRun, spec: dict[str, Any]) -> dict[str, Any]:
    if "source" in spec["stream"]:
        report = run.report()
        assert report["results"]["stream"]["framesReceived"] == spec["stream"]["source"]["frames"]
        return report
    host, port = run.says(r"frames\s+(\S+)").split(":")
    run.says(r"phase\s+(Ready)")
    flags = ["--pattern", "--frames", str(FRAMES)]
    _call("podstream-stream", "push", "--host", host, "--port", port, *flags)
    report = run.report()
    assert report["results"]["stream"]["framesReceived"] == FRAMES
    return report


def _save_picture(path: Path) -> None:
    cv2.imwrite(str(path), np.random.default_rng(5).integers(0, 256, (40, 60, 3), np.uint8))


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.stem)
def test_a_sample_runs_to_its_result(sample: Path, tmp_path: Path) -> None:
    spec = yaml.safe_load(sample.read_text())["spec"]
    if "template" in spec:
        spec = {**spec["template"]["spec"], "listeners": spec.get("listeners", [])}
    flags: list[str] = []
    if is_batch := "batch" in (spec.get("imageOps") or {}):
        (tmp_path / "photos").mkdir()
        _save_picture(tmp_path / "photos/photo.png")
        flags = ["--mount", f"photos={tmp_path / 'photos'}"]
    with ExitStack() as stack:
        bucket = None
        if is_copied := "s3" in ((spec.get("stream") or {}).get("recording") or {}):
            bucket = stack.enter_context(s3_server())
            (tmp_path / "keys").mkdir()
            (tmp_path / "keys/accessKeyID").write_text(bucket.key_id)
            (tmp_path / "keys/secretAccessKey").write_text("secret")
            flags = ["--mount", f"bucket={tmp_path / 'keys'}"]
        run = stack.enter_context(_running(sample, tmp_path, *flags, bucket=bucket))
        if "circle" in spec:
            report = _play_circle(run, spec, tmp_path)
            if "stream" in spec:
                _check_onlookers(report["results"])
        elif "source" in (spec.get("stream") or {}):
            report = run.report()
            drawn = spec["stream"]["source"]["frames"]
            recording = report["results"]["stream"]["recording"]
            assert recording["frames"] == drawn
            assert not is_copied or recording["upload"]["files"] == recording["files"] > 1
        elif "stream" in spec:
            report = _stream_frames(run, spec)
        elif is_batch:
            report = run.report()
            assert report["results"]["imageOps"]["batch"]["done"] == 1
        else:
            report = _turn_picture(run, tmp_path)
    assert report["phase"] == "Completed"
