"""Who may connect, and what everybody else is told."""

import json
from collections.abc import Iterator

import pytest

from e2e.http import Answer, post_offer, request
from e2e.sessions import Session, circle, session


@pytest.fixture(scope="module")
def ready() -> Iterator[Session]:
    spec = {"circle": circle(frames=0), "idleTimeoutSeconds": 600}
    with session(spec, prefix="access") as made:
        made.wait_phase("Ready")
        yield made


def _error(answer: Answer) -> str:
    body = json.loads(answer.text)
    assert body["message"], body
    error: str = body["error"]
    return error


def test_missing_token_is_refused_with_a_challenge(ready: Session) -> None:
    answer = post_offer(ready.endpoint())
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert _error(answer)


@pytest.mark.parametrize(
    "token", [pytest.param("nonsense", id="no JWT"), pytest.param("a.b.c", id="broken JWT")]
)
def test_wrong_token_is_refused(ready: Session, token: str) -> None:
    assert post_offer(ready.endpoint(), token=token).status == 401


def test_token_of_another_session_is_refused(ready: Session) -> None:
    with session({"circle": circle(frames=0)}, prefix="other") as other:
        other.wait_phase("Ready")
        assert post_offer(ready.endpoint(), token=other.token()).status == 403


def test_unknown_session_is_404(ready: Session) -> None:
    url = ready.endpoint().replace(ready.name, "no-such-session")
    answer = post_offer(url, token=ready.token())
    assert answer.status == 404
    assert "no-such-session" in json.loads(answer.text)["message"]


@pytest.mark.parametrize(
    ("sdp", "content_type", "status"),
    [
        pytest.param("this is no SDP", "application/sdp", 400, id="junk"),
        pytest.param("", "application/sdp", 400, id="empty"),
        pytest.param("v=0\r\n" * 5, "application/sdp", 400, id="header only"),
        pytest.param("{}", "application/json", 415, id="wrong type"),
        pytest.param("v=0\r\n" + "a=x\r\n" * 40_000, "application/sdp", 413, id="oversize"),
    ],
)
def test_bad_offers_get_the_precise_status(
    ready: Session, sdp: str, content_type: str, status: int
) -> None:
    answer = post_offer(ready.endpoint(), token=ready.token(), sdp=sdp, content_type=content_type)
    assert answer.status == status, answer.text
    assert _error(answer)


def test_preflight_of_a_browser_is_answered(ready: Session) -> None:
    answer = request(
        ready.endpoint(),
        method="OPTIONS",
        headers={"Origin": "http://example.test", "Access-Control-Request-Method": "POST"},
    )
    assert answer.status in (200, 204)
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]


def test_second_client_gets_the_busy_answer_while_the_first_plays() -> None:
    with session({"circle": circle(frames=0)}, prefix="busy") as made:
        made.wait_phase("Ready")
        with made.playing("--duration", "60") as first:
            made.wait_phase("Connected")
            second = post_offer(made.endpoint(), token=made.token())
            assert second.status == 503
            assert int(second.headers["Retry-After"]) >= 1
            assert _error(second) == "Busy"
            assert first.poll() is None, "the first client must not notice"


def test_second_client_of_a_public_session_gets_503_and_retry_after() -> None:
    spec = {"circle": circle(frames=0), "access": {"mode": "Public"}}
    with session(spec, prefix="busy") as made:
        made.wait_phase("Ready")
        first = post_offer(made.endpoint())
        assert first.status == 201, first.text
        second = post_offer(made.endpoint())
        assert second.status == 503
        assert int(second.headers["Retry-After"]) >= 1
        assert _error(second) == "Busy"
