"""What one upload for several workloads costs, against a session with an upload for each.

    python tests/bench/bench_combined.py [--seconds 12] [--size 640x480] [--json]

A client publishes a ball (30 frames a second) to a session without Kubernetes, as `podstream-run`
serves it, with workloads in processes of their own and WebRTC over loopback. CPU of these processes
per frame of the video, while frames flow; the client's and the agent's are not in it.

combined: one session with stream (recorded), circle, image operations and tracking on one upload.
Baseline, measured in the same run one after the other: a session for each, every one with an upload
of its own: a recorded stream, circle with source Upload, a stream with image operations, a stream
with tracking. Frames that a workload has dropped cost nothing: their share is printed beside it.
"""

import argparse
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psutil

from bench.kept import keep
from fakes.balls import Scene
from fakes.local_run import BIN, LocalRun, local_run
from fakes.video import write_video

OPERATIONS: Final = ["resize=320x0", "gray"]
CAMERA: Final = {"camera": {"id": "desk", "fps": 30, "source": {"type": "Stream"}}}
RECORDING: Final = {"codec": "MJPG"}
WARM_UP_S: Final = 3.0
"""Of the upload, before anything is counted."""


def sessions(size: tuple[int, int]) -> dict[str, dict[str, Any]]:
    """Specs by name; the first is the combined one."""
    stream = {"width": size[0], "height": size[1], "source": {"type": "WHIP"}, "maxViewers": 0}
    pictures = {"stream": {"operations": OPERATIONS}}
    return {
        "combined": {
            "stream": {**stream, "recording": RECORDING},
            "circle": {"source": "Stream"},
            "imageOps": pictures,
            "tracking": CAMERA,
        },
        "stream": {"stream": {**stream, "recording": RECORDING}},
        "circle": {"circle": {"source": "Upload"}},
        "imageOps": {"stream": stream, "imageOps": pictures},
        "tracking": {"stream": stream, "tracking": CAMERA},
    }


@contextmanager
def running(spec: dict[str, Any], folder: Path) -> Iterator[LocalRun]:
    body = {
        "apiVersion": "podstream.dev/v1alpha1",
        "kind": "StreamSession",
        "metadata": {"name": "bench"},
        "spec": {**spec, "access": {"mode": "Public"}, "reconnectSeconds": 0},
    }
    ports = [part for name in ("", "grpc-", "frames-") for part in (f"--{name}port", "0")]
    with local_run(body, folder, *ports) as run:
        yield run


def cpu_s(processes: list[psutil.Process]) -> float:
    """CPU that they have used so far."""
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def measure(spec: dict[str, Any], *, video: Path, seconds: float) -> dict[str, float]:
    """Publish to a session of its own."""
    with tempfile.TemporaryDirectory() as name, running(spec, Path(name)) as run:
        url = run.says(r"WHIP\s+(\S+)")
        run.says(r"phase\s+(Ready)")
        client = subprocess.Popen(
            [str(BIN / "podstream-client"), "--url", url, "--upload", str(video), "--loop"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        with client:
            run.says(r"phase\s+(Connected)")
            connected = time.monotonic()
            time.sleep(WARM_UP_S)
            workers = psutil.Process(run.pid).children(recursive=True)
            begun, before = time.monotonic(), cpu_s(workers)
            time.sleep(seconds)
            used, lasted = cpu_s(workers) - before, time.monotonic() - begun
            published_s = time.monotonic() - connected
            client.terminate()
        report = run.report()
    found = counts(report["results"])
    # A busy machine's client publishes fewer frames: what counts is what one of them costs.
    rate = found["framesReceived"] / published_s
    return {"cpuMsPerFrame": used / lasted / rate * 1e3, "framesPerS": rate, **found}


def counts(results: dict[str, Any]) -> dict[str, float]:
    """Of the frames, which share each workload has looked at."""
    found: dict[str, float] = {}
    if stream := results.get("stream"):
        dropped = stream["source"]["framesDropped"]
        found["framesReceived"] = stream["framesReceived"]
        found["streamShare"] = stream["framesReceived"] / (stream["framesReceived"] + dropped)
    if circle := results.get("circle"):
        found.setdefault("framesReceived", circle["framesReceived"])
        found["circleShare"] = 1 - circle["framesDropped"] / circle["framesReceived"]
    if pictures := (results.get("imageOps") or {}).get("stream"):
        found["imageOpsShare"] = pictures["frames"] / (pictures["frames"] + pictures["dropped"])
    if camera := (results.get("tracking") or {}).get("camera"):
        whole = camera["frames"] + camera["dropped"] + camera["skipped"]
        found["trackingShare"] = camera["frames"] / whole
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=12)
    parser.add_argument("--size", default="640x480")
    parser.add_argument("--json", action="store_true", help="keep the results")
    options = parser.parse_args()
    width, height = (int(side) for side in options.size.split("x"))
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "ball.mp4"
        write_video(video, Scene(width=width, height=height), frames=120)
        found = {
            name: measure(spec, video=video, seconds=options.seconds)
            for name, spec in sessions((width, height)).items()
        }
    apart = sum(values["cpuMsPerFrame"] for name, values in found.items() if name != "combined")
    found["separate sessions (baseline)"] = {"cpuMsPerFrame": apart}
    found["combined"]["ratio"] = found["combined"]["cpuMsPerFrame"] / apart
    for name, values in found.items():
        words = ", ".join(f"{key} {value:.4g}" for key, value in values.items())
        print(f"{name:30} {words}")
    if options.json:
        keep(__file__, {"size": options.size, **found})


if __name__ == "__main__":
    main()
