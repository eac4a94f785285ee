"""The original ball tracker's client connects with only host and port changed."""

import subprocess
import sys
from pathlib import Path

import pytest

from e2e import kube
from e2e.sessions import Session, circle, session
from e2e.signalling import address_of
from podstream_dev import clients

_CLIENT = Path(__file__).with_name("stock_client.py")


@pytest.fixture(
    scope="module",
    params=[pytest.param("aiortc-1.5.0"), pytest.param("aiortc-pinned")],
)
def python(request: pytest.FixtureRequest) -> str:
    """Interpreter of an environment that has the client's libraries."""
    return str(clients.stock_python()) if request.param == "aiortc-1.5.0" else sys.executable


def _spec() -> dict[str, object]:
    """The compat sample, small: fixed motion, pure green, no token."""
    return {
        "circle": circle(frames=0, codec="VP8", ball={"motion": "Fixed"}, logEstimates=True),
        "access": {"mode": "Public"},
        "listeners": ["signalling"],
        "reconnectSeconds": 0,
    }


@pytest.fixture(scope="module")
def address() -> tuple[str, str]:
    """Host and port of the signalling listener, as a session's status gives them."""
    with session(_spec(), prefix="address") as made:
        made.wait_phase("Ready")
        host, _, port = made.endpoint("Signalling").removeprefix("tcp://").partition(":")
        return host, port


def _start(python: str, address: tuple[str, str], estimates: int) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [python, str(_CLIENT), *address, "--estimates", str(estimates)],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def _assert_scored(made: Session, estimates: int) -> None:
    made.wait_phase("Completed")
    assert made.circle["framesScored"] >= estimates
    assert made.circle["framesUnmatched"] == 0
    assert made.circle["rmsePx"] < 5


def test_stock_client_is_scored(python: str, address: tuple[str, str]) -> None:
    with session(_spec(), prefix="stock") as made:
        made.wait_phase("Ready")
        client = _start(python, address, 60)
        out, _ = client.communicate(timeout=90)
        assert client.returncode == 0, out
        assert "channel connected RTCchannel" in out
        _assert_scored(made, 60)
        (pod,) = made.pods()
        log = kube.kubectl("logs", pod["metadata"]["name"])
        assert "\tactual location: (" in log
        assert "\testimated location: (" in log
        assert "\tRMSE: " in log
        assert "connection state is connected" in log


def test_stock_client_may_start_before_its_session(python: str, address: tuple[str, str]) -> None:
    client = _start(python, address, 30)
    try:
        with session(_spec(), prefix="early") as made:
            out, _ = client.communicate(timeout=90)
            assert client.returncode == 0, out
            _assert_scored(made, 30)
    finally:
        client.kill()


def test_five_stock_clients_in_turn(python: str, address: tuple[str, str]) -> None:
    for _ in range(5):
        with session(_spec(), prefix="turn") as made:
            made.wait_phase("Ready")
            client = _start(python, address, 15)
            out, _ = client.communicate(timeout=90)
            assert client.returncode == 0, out
            _assert_scored(made, 15)


def test_a_big_picture_and_a_slow_client_cost_frames_and_no_memory() -> None:
    """Stock aiortc and a circle transform of 1920x1080, on a machine that does the rest as well."""
    spec = {
        "circle": circle(frames=0, codec="VP8", ball={"motion": "Fixed", "radius": 60})
        | {"width": 1920, "height": 1080},
        "access": {"mode": "Public"},
        "listeners": ["signalling"],
        "reconnectSeconds": 0,
        "lingerSeconds": 120,
    }
    with session(spec, prefix="big") as made:

        def scored() -> int:
            count: int = made.circle.get("framesScored", 0)
            return count

        made.wait_phase("Ready")
        host, port = address_of(made)
        with subprocess.Popen(
            [sys.executable, str(_CLIENT), host, str(port), "--estimates", "30"],
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as client:
            try:
                kube.until(lambda: scored() >= 5, what="estimates", timeout_s=90)
                before = made.memory()
                kube.until(lambda: scored() >= 20, what="more estimates", timeout_s=90)
                grown = made.memory() - before
                out, _ = client.communicate(timeout=90)
            finally:
                client.kill()
        assert client.returncode == 0, out
        made.wait_phase("Completed")
        assert made.circle["framesScored"] >= 30
        assert made.circle["framesUnmatched"] == 0, "no answer is as old as what was thrown away"
        assert made.circle["rmsePx"] < 5
        assert grown < 64 << 20
