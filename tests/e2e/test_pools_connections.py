"""Connections to pools on the real cluster: each gets a pod and a session that nobody shares."""

import base64
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from e2e import kube
from e2e.http import Answer, post_offer, request
from e2e.pools import Pool, pool
from e2e.sessions import Session, circle

_SESSION = re.compile(r"session podstream/(\S+)")
_STOCK_CLIENT = Path(__file__).with_name("stock_client.py")
_QUOTA = "no-more-sessions"


def session_of(stderr: str) -> Session:
    """The session that a client says it has got."""
    found = _SESSION.search(stderr)
    assert found, stderr
    return Session(found.group(1))


def born(answer: Answer) -> Session:
    """The session that a pool's answer names."""
    assert answer.status == 201, answer.text
    return Session(answer.headers["Podstream-Session"].removeprefix("podstream/"))


def refused(answer: Answer) -> None:
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1"), answer.text
    assert '"Busy"' in answer.text


def assert_unshared(sessions: list[Session]) -> None:
    """Every session has a pod of its own: the one that the router has assigned to it."""
    uids = []
    for made in sessions:
        status = made.status["pod"]
        assignment = made.body["metadata"]["annotations"]["podstream.dev/assignment"]
        assert assignment.split("/")[1:] == [status["name"], status["uid"]]
        uids.append(status["uid"])
    assert len(set(uids)) == len(sessions)


def assert_owned(sessions: list[Session]) -> None:
    """Every session that lives is the controller of its pod."""
    for made in sessions:
        (pod,) = made.pods()
        assert pod["metadata"]["uid"] == made.status["pod"]["uid"]
        (owner,) = pod["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["uid"]) == ("StreamSession", made.body["metadata"]["uid"])


def test_six_connections_end_on_six_pods_and_are_scored_each_on_its_own() -> None:
    """Every client is wrong by a distance of its own, and finds it in its own session."""
    template = {"circle": circle(frames=45, fps=15), "lingerSeconds": 0}
    offsets = [10 * number for number in range(1, 7)]
    with pool(warm=3, max=6, template=template) as made, ExitStack() as stack:
        made.filled(3)
        clients = [
            stack.enter_context(made.playing("--offset", f"{offset},0", "--connect-timeout", "90"))
            for offset in offsets
        ]
        sessions = []
        for client in clients:
            _, err = client.communicate(timeout=150)
            assert client.returncode == 0, err
            sessions.append(session_of(err))
        assert len({one.name for one in sessions}) == 6
        assert {one.name for one in made.sessions()} == {one.name for one in sessions}
        for one, offset in zip(sessions, offsets, strict=True):
            one.wait_phase("Completed")
            assert one.circle["framesScored"] == 45
            assert one.circle["rmseEuclideanPx"] == pytest.approx(offset, abs=1)
            assert one.status["connection"]["protocol"] == "WHEP"
        assert_unshared(sessions)
        origins = [one.status["pod"]["origin"] for one in sessions]
        assert origins.count("Warm") >= 3


def test_pool_at_its_maximum_serves_three_refuses_three_and_serves_after_a_release() -> None:
    template = {"circle": circle(frames=0), "reconnectSeconds": 0, "lingerSeconds": 120}
    with pool(warm=3, max=3, template=template) as made, ExitStack() as stack:
        made.wait(warm=3)
        clients = [stack.enter_context(made.playing("--connect-timeout", "3")) for _ in range(6)]

        def given_up() -> bool:
            return [client.poll() for client in clients].count(1) == 3

        kube.until(given_up, what="three clients that were refused", timeout_s=90)
        for client in clients:
            if client.poll() is not None:
                assert "503 Busy" in client.communicate()[1]
        playing = [client for client in clients if client.poll() is None]
        assert len(playing) == 3
        sessions = made.sessions()
        assert len(sessions) == 3
        for one in sessions:
            one.wait_phase("Connected")
        assert_unshared(sessions)
        assert_owned(sessions)
        refused(post_offer(made.endpoint()))
        assert len(made.sessions()) == 3

        leaver = playing[0]
        leaver.terminate()
        released = session_of(leaver.communicate(timeout=30)[1])
        released.wait_phase("Completed", timeout_s=30)
        served = born(post_offer(made.endpoint()))
        kube.until(lambda: kube.get("strs", served.name), what="the session of the connection")
        refused(post_offer(made.endpoint()))


def test_clients_of_a_listener_get_a_session_each(signalling: tuple[Pool, tuple[str, str]]) -> None:
    made, address = signalling
    clients = [_start_stock(address, estimates=20) for _ in range(2)]
    try:
        for client in clients:
            out, _ = client.communicate(timeout=90)
            assert client.returncode == 0, out
    finally:
        for client in clients:
            client.kill()
    sessions = made.sessions()
    assert len(sessions) == 2
    for one in sessions:
        one.wait_phase("Completed")
        assert one.circle["framesScored"] >= 20
        assert one.status["connection"]["protocol"] == "Signalling"
    assert_unshared(sessions)


@pytest.fixture
def signalling() -> Iterator[tuple[Pool, tuple[str, str]]]:
    """A pool on the signalling listener, and where that listens."""
    template = {
        "circle": circle(frames=0, codec="VP8", ball={"motion": "Fixed"}),
        "reconnectSeconds": 0,
    }
    with pool(warm=2, max=4, listeners=["signalling"], template=template) as made:
        made.wait(warm=2)
        (found,) = [item for item in made.status["endpoints"] if item["protocol"] == "Signalling"]
        host, _, port = found["url"].removeprefix("tcp://").partition(":")
        yield made, (host, port)


def _start_stock(address: tuple[str, str], *, estimates: int) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, str(_STOCK_CLIENT), *address, "--estimates", str(estimates)],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def test_token_of_the_pool_opens_it_and_that_of_a_session_leads_back() -> None:
    template = {"access": {"mode": "Token"}}
    with pool(warm=2, max=2, template=template) as made:
        made.wait(warm=2)
        secret = kube.get("secret", made.status["access"]["secretName"])
        assert secret is not None
        token = base64.b64decode(secret["data"]["token"]).decode()
        assert post_offer(made.endpoint()).status == 401
        first = post_offer(made.endpoint(), token=token)
        again = post_offer(made.endpoint(), token=first.headers["Podstream-Token"])
        assert born(again) == born(first)
        other = post_offer(made.endpoint(), token=token)
        assert born(other) != born(first)
        location = again.headers["Location"]
        url = made.endpoint().removesuffix(f"/p/podstream/{made.name}/whep") + location
        bearer = {"Authorization": f"Bearer {token}"}
        assert request(url, method="DELETE", headers=bearer).status == 200
        kube.until(lambda: len(made.sessions()) == 2, what="both sessions")


@contextmanager
def quota() -> Iterator[None]:
    """Kubernetes' own limit: the namespace gets no further session."""
    count = len(kube.items("strs"))
    resource = "count/streamsessions.podstream.dev"
    kube.apply(
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": _QUOTA},
            "spec": {"hard": {resource: str(count)}},
        }
    )

    def is_enforced() -> bool:
        found: dict[str, Any] = kube.get("resourcequota", _QUOTA) or {}
        return resource in found.get("status", {}).get("used", {})

    try:
        kube.until(is_enforced, what="the quota's first count")
        yield
    finally:
        kube.delete("resourcequota", _QUOTA)


def test_session_that_kubernetes_refuses_ends_its_connection() -> None:
    with pool(warm=1, max=1) as made:
        made.wait(warm=1)
        (used,) = made.pods()
        with quota():
            name = born(post_offer(made.endpoint())).name
            kube.until(
                lambda: kube.get("pod", used["metadata"]["name"]) is None,
                what="the end of the pod that has no session",
            )
            assert kube.get("strs", name) is None
        made.wait(warm=1)
        served = born(post_offer(made.endpoint()))
        kube.until(lambda: kube.get("strs", served.name), what="the session of the connection")
