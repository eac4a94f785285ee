"""Hostile and careless clients: clear errors, nothing crashes, memory stays flat."""

import json
import os
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from e2e import kube
from e2e.http import post_offer
from e2e.sessions import Session, circle, names, session


@pytest.fixture(scope="module")
def ready() -> Iterator[Session]:
    spec = {"circle": circle(frames=0), "idleTimeoutSeconds": 600}
    with session(spec, prefix="bad") as made:
        made.wait_phase("Ready")
        yield made


def _router_memory_kib() -> int:
    (pod,) = kube.items("pods", selector="app.kubernetes.io/component=router")
    look = "print(open('/proc/1/status').read())"
    text = kube.kubectl("exec", pod["metadata"]["name"], "--", "python", "-c", look)
    return int(next(line for line in text.splitlines() if line.startswith("VmRSS")).split()[1])


def _restarts() -> dict[str, int]:
    return {
        pod["metadata"]["name"]: pod["status"]["containerStatuses"][0]["restartCount"]
        for pod in kube.items("pods", selector="app.kubernetes.io/part-of=podstream")
        if pod["metadata"]["labels"].get("podstream.dev/role") is None
    }


def _media_address(ready: Session) -> tuple[str, int]:
    """Where the router's answer sends media from outside."""
    answer = post_offer(ready.endpoint(), token=ready.token())
    assert answer.status == 201, answer.text
    host = urlsplit(ready.endpoint()).hostname
    candidates = [
        line.split() for line in answer.text.splitlines() if line.startswith("a=candidate")
    ]
    port = next(int(words[5]) for words in candidates if words[4] == host)
    assert host is not None
    return host, port


def test_random_datagrams_at_the_media_port_change_nothing(ready: Session) -> None:
    address = _media_address(ready)
    before, restarts = _router_memory_kib(), _restarts()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for size in (0, 1, 19, 20, 21, 200, 1200):
            for _ in range(700):
                sender.sendto(os.urandom(size), address)
        # STUN binding requests for user names that do not exist, each from the same socket.
        for _ in range(3000):
            username = os.urandom(8).hex().encode()
            attribute = b"\x00\x06" + len(username).to_bytes(2, "big") + username
            header = b"\x00\x01" + len(attribute).to_bytes(2, "big") + b"\x21\x12\xa4\x42"
            sender.sendto(header + os.urandom(12) + attribute, address)
    assert _restarts() == restarts
    assert _router_memory_kib() - before < 20_000
    assert post_offer(ready.endpoint(), token=ready.token()).status in (201, 503)


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"", id="silent"),
        pytest.param(b"POST /s/podstream/x/whep HTTP/1.1\r\nHost: a\r\n", id="half a header"),
        pytest.param(
            b"POST /s/podstream/x/whep HTTP/1.1\r\nHost: a\r\nContent-Type: application/sdp\r\n"
            b"Content-Length: 5000\r\n\r\nv=0",
            id="half a body",
        ),
        pytest.param(b"\x16\x03\x01\x02\x00" + b"\x00" * 300, id="TLS on a plain port"),
    ],
)
def test_slow_and_wrong_http_clients_are_let_go(ready: Session, sent: bytes) -> None:
    parts = urlsplit(ready.endpoint())
    assert parts.hostname is not None
    assert parts.port is not None
    begun = time.monotonic()
    with socket.create_connection((parts.hostname, parts.port), timeout=60) as slow:
        slow.sendall(sent)
        while slow.recv(4096):
            pass
    assert time.monotonic() - begun < 60


def test_many_idle_connections_do_not_stop_the_service(ready: Session) -> None:
    parts = urlsplit(ready.endpoint())
    assert parts.hostname is not None
    assert parts.port is not None
    idle = [socket.create_connection((parts.hostname, parts.port), timeout=10) for _ in range(200)]
    try:
        answer = post_offer(ready.endpoint(), token="wrong")
        assert answer.status == 401
        assert json.loads(answer.text)["error"]
    finally:
        for connection in idle:
            connection.close()


def test_nothing_of_podstream_restarted(ready: Session) -> None:
    assert set(_restarts().values()) == {0}
    assert names(ready.pods())
