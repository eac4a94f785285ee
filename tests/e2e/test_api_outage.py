"""The API server stands still: a lone operator pauses or starts again, sessions go on."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from e2e import kube
from e2e.operators import leader, lease, restarts
from e2e.sessions import circle, session

NODE = os.environ.get("PODSTREAM_NODE_IP")


def api_server() -> int | None:
    """Id of the API server's process on this machine: that of this very cluster."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if "kube-apiserver" in words[0] and f"--advertise-address={NODE}" in words:
            return int(entry.name)
    return None


@contextmanager
def outage(seconds: float) -> Iterator[None]:
    """Stop the API server, which then answers nobody, for a while."""
    process = api_server() if NODE else None
    if process is None:
        pytest.skip("the API server's process is not visible from this machine")
    os.kill(process, signal.SIGSTOP)
    try:
        time.sleep(seconds)
        yield
    finally:
        os.kill(process, signal.SIGCONT)


@pytest.mark.long
@pytest.mark.parametrize(
    ("seconds", "survives"),
    [
        pytest.param(10, True, id="shorter than the Lease: nothing happens"),
        pytest.param(60, False, id="longer: a new process"),
    ],
)
def test_lone_operator_gets_over_an_outage(seconds: float, survives: bool) -> None:
    kube.until(lambda: len(restarts()) == 1 and leader() in restarts(), what="a lone leader")
    (name,), (count,) = restarts().keys(), restarts().values()
    with session({"circle": circle(frames=2700)}, prefix="outage") as made:
        made.wait_phase("Ready")
        with made.playing("--duration", "150"):
            made.wait_phase("Connected")
            with outage(seconds):
                pass
            begun = time.monotonic()
            renewed = lease()["renewTime"]
            kube.until(lambda: lease()["renewTime"] > renewed, what="a renewal")
            back_s = time.monotonic() - begun
            made.wait_phase("Completed", timeout_s=150)
        assert made.circle["framesScored"] == 2700
        assert made.status["results"]["final"] is True
        assert made.status["pod"].get("restarts", 0) == 0
    print(f"\nafter {seconds} s without an API the Lease was renewed within {back_s:.1f} s")
    assert leader() == name
    if survives:
        assert restarts() == {name: count}
    else:
        assert restarts()[name] > count
        log = kube.kubectl("logs", name, "--previous")
        assert "operator ends: the Lease was not renewed for 15 s" in log
