"""Sessions with a stream in tests: pushed to, looked at, switched."""

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

from e2e import kube
from e2e.sessions import Session
from podstream_workloads.stream.pattern import pattern

SIZE = (640, 480)
FRAME = SIZE[0] * SIZE[1] * 3
SPEC: dict[str, Any] = {
    "stream": {},
    "access": {"mode": "Public"},
    "listeners": ["frames"],
    "reconnectSeconds": 1,
}


def recorded(*, seconds_between_results: int = 1, **recording: Any) -> dict[str, Any]:
    """A spec with a recording."""
    stream = {"maxViewers": 2, "recording": recording}
    return {**SPEC, "stream": stream, "resultsIntervalSeconds": seconds_between_results}


def address(made: Session) -> tuple[str, int]:
    """Where frames are pushed to."""
    host, _, port = made.endpoint("TCP").removeprefix("tcp://").rpartition(":")
    return host, int(port)


def push_command(target: tuple[str, int], *arguments: str) -> list[str]:
    command = [sys.executable, "-m", "podstream_workloads.stream.cli", "push"]
    return [*command, "--host", target[0], "--port", str(target[1]), "--quiet", *arguments]


def push(target: tuple[str, int], *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Push to the end."""
    return subprocess.run(
        push_command(target, *arguments), text=True, capture_output=True, timeout=90, check=False
    )


@contextmanager
def pushing(made: Session, *, fps: int) -> Iterator[None]:
    """Push a moving pattern during the block."""
    command = push_command(address(made), "--pattern", "--fps", str(fps))
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as client:
        try:
            yield
        finally:
            client.terminate()
            client.communicate(timeout=20)


def figures(made: Session) -> dict[str, Any]:
    """`status.results.stream`."""
    found: dict[str, Any] = (made.status.get("results") or {}).get("stream") or {}
    return found


def switch(made: Session, **stream: Any) -> float:
    """Change the stream's live members; seconds until the status says that the pod follows."""
    patch = json.dumps({"spec": {"stream": stream}})
    begun = time.monotonic()
    kube.kubectl("patch", "strs", made.name, "--type=merge", f"--patch={patch}")
    generation = made.body["metadata"]["generation"]
    kube.until(
        lambda: made.status.get("observedGeneration") == generation,
        what="the pod to follow",
        timeout_s=20,
    )
    return time.monotonic() - begun


def url(made: Session, path: str) -> str:
    """A path of the session at the router."""
    return f"{made.endpoint('MJPEG').removesuffix('/mjpeg')}/{path}"


def download(made: Session, name: str) -> bytes:
    """A finished file, through the router."""
    with urllib.request.urlopen(url(made, f"results/stream-{name}"), timeout=60) as answer:
        data: bytes = answer.read()
    return data


def pushed_frames(count: int) -> dict[bytes, int]:
    """The pattern's frames, and their numbers."""
    return {frame.tobytes(): number for number, frame in enumerate(islice(pattern(*SIZE), count))}
