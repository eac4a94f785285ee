"""Slow, silent and hostile clients of the TCP signalling: each is cut, the next one is served.

All of them meet one session on the real listener. It has one place: a client that holds it is let
go by its own fault or by the router's patience, and whoever comes meanwhile is closed at once. The
tests run in order; the last one looks at what is left.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e import kube
from e2e.sessions import Session, session
from e2e.signalling import Address, address_of, served, wire
from podstream_dev.shell import ROOT

_CLIENT = Path(__file__).with_name("stock_client.py")
_PROMPT_S = 10.0
"""What the router closes on its own accord is closed well within this, on a busy machine."""
_LINE_S = 10.0
"""The router's patience with a line that was begun."""
_ANSWER_S = 30.0
"""The router's patience with a client that got the offer."""
_HALF_A_LINE = b'{"type": "answer", "sdp": "v=0'
_IDLE = 50
_FLOOD = 64 * 2**20
"""More bytes than all buffers on the way together."""

_ICE = "a=ice-ufrag:abcd1234\r\na=ice-pwd:" + "p" * 22 + "\r\na=fingerprint:sha-256 00\r\n"
_HEAD = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
_VIDEO = "m=video 9 UDP/TLS/RTP/SAVPF 97\r\n"


@dataclass(frozen=True)
class Target:
    """The session that all clients meet, and where."""

    session: Session
    address: Address
    pod: str
    since: str


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    since = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    sample = yaml.safe_load((ROOT / "crds/samples/circle-compat.yaml").read_text())
    with session(sample["spec"], prefix="slow") as made:
        made.wait_phase("Ready")
        (pod,) = made.pods()
        yield Target(made, address_of(made), pod["metadata"]["uid"], since)


def message(kind: str, sdp: str) -> bytes:
    return json.dumps({"sdp": sdp, "type": kind}).encode() + b"\n"


@pytest.mark.parametrize(
    "junk",
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", id="http"),
        pytest.param(b"\x16\x03\x01\x02\x00" + bytes(300) + b"\n", id="tls"),
        pytest.param(b"\n", id="empty line"),
        pytest.param(b'{"type": "answer"\n', id="broken json"),
        pytest.param(b'"answer"\n', id="a string"),
        pytest.param(b"[1, 2]\n", id="an array"),
        pytest.param(b'{"sdp": "v=0"}\n', id="no type"),
        pytest.param(b'{"type": null}\n', id="type is null"),
        pytest.param(b'{"type": {"answer": 1}}\n', id="type is an object"),
        pytest.param(b'{"type": "answer", "sdp": 7}\n', id="sdp is a number"),
        pytest.param(b'{"type": "answer", "sdp": "v=0"}\n', id="sdp is cut short"),
        pytest.param(b"[" * 60_000 + b"\n", id="deep arrays"),
        pytest.param(b'{"type": ' + b'{"a":' * 12_000 + b"\n", id="deep objects"),
        pytest.param(message("answer", _HEAD + _ICE + _VIDEO), id="answer without codecs"),
        pytest.param(message("offer", _HEAD + _ICE + _VIDEO), id="offer for an answer"),
    ],
)
def test_junk_is_cut_at_once(target: Target, junk: bytes) -> None:
    with served(target.address) as client:
        client.send(junk)
        client.closed_within(_PROMPT_S)


def test_endless_line_is_cut(target: Target) -> None:
    with served(target.address) as client:
        client.flood(limit=_FLOOD)


def test_client_that_reads_nothing_is_cut(target: Target) -> None:
    """The offer is more than its window takes: the rest and the end wait for it in vain."""
    with served(target.address, is_deaf=True) as deaf:
        deaf.send(b"{}\n")
        with served(target.address):
            pass


def test_silent_client_is_cut_and_the_others_do_not_wait_for_it(target: Target) -> None:
    with served(target.address) as silent:
        for said, drip in ((b"", b""), (_HALF_A_LINE, b""), (b"", _HALF_A_LINE)):
            with wire(target.address) as other:
                other.send(said)
                other.closed_within(_PROMPT_S, drip=drip)
        with wire(target.address) as other:
            other.flood(limit=_FLOOD)
        with ExitStack() as stack:
            idle = [stack.enter_context(wire(target.address)) for _ in range(_IDLE)]
            assert [one.offer(timeout_s=_PROMPT_S) for one in idle] == [None] * _IDLE
        silent.closed_within(_ANSWER_S + _PROMPT_S)


@pytest.mark.long
def test_half_a_line_is_cut(target: Target) -> None:
    with served(target.address) as client:
        client.send(_HALF_A_LINE)
        client.closed_within(_LINE_S + _PROMPT_S)


@pytest.mark.long
def test_line_that_drips_is_cut(target: Target) -> None:
    with served(target.address) as client:
        client.closed_within(_LINE_S + _PROMPT_S, drip=_HALF_A_LINE)


@pytest.mark.long
def test_client_that_neither_reads_nor_speaks_is_cut(target: Target) -> None:
    with (
        served(target.address, is_deaf=True),
        served(target.address, timeout_s=_ANSWER_S + _PROMPT_S),
    ):
        pass


def test_stock_client_is_served_by_the_same_session_after_all(target: Target) -> None:
    host, port = target.address
    done = subprocess.run(
        [sys.executable, str(_CLIENT), host, str(port), "--estimates", "20"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (pod,) = target.session.pods()
    assert pod["metadata"]["uid"] == target.pod
    assert _restart_counts([pod]) == [0]
    log = kube.kubectl("logs", pod["metadata"]["name"])
    assert log.count("\tRMSE: ") >= 20
    assert "Traceback" not in log


def test_nothing_of_podstream_restarted_or_stumbled(target: Target) -> None:
    pods = [
        *kube.items("pods", selector="app.kubernetes.io/component=router"),
        *kube.items("pods", selector="app.kubernetes.io/component=operator"),
    ]
    assert set(_restart_counts(pods)) == {0}
    for pod in pods:
        log = kube.kubectl("logs", pod["metadata"]["name"], f"--since-time={target.since}")
        assert "Traceback" not in log


def _restart_counts(pods: list[dict[str, Any]]) -> list[int]:
    return [status["restartCount"] for pod in pods for status in pod["status"]["containerStatuses"]]
