"""Who sees what on the dashboard."""

import logging
from typing import Any

import aiohttp
import pytest

from podstream_core.names import VIEW_CLAIM, VIEW_SCOPE
from podstream_core.tokens import SigningKey, TokenType
from podstream_router.dashboard.people import KEPT_S, People
from podstream_router.errors import Unauthorized
from router.dashboards import ADA, EVE, add, as_person, know_people
from router.harness import Harness, QuietApi, running_router, session_route

READS = (
    "/api/v1/me",
    "/api/v1/sessions",
    "/api/v1/pools",
    "/api/v1/events",
    "/api/v1/sessions/lab/ball",
    "/api/v1/sessions/lab/ball/events",
    "/api/v1/sessions/lab/ball/files",
    "/api/v1/sessions/lab/ball/token",
    "/api/v1/sessions/lab/ball/kubernetes-events",
)
WRITES = (
    "/api/v1/sessions",
    "/api/v1/sessions/lab/ball/files/pass",
    "/api/v1/sessions/lab/ball/end",
    "/api/v1/sessions/lab/ball/stream",
    "/api/v1/sessions/lab/ball/recording",
)
EVERY = [*(("GET", path) for path in READS), *(("POST", path) for path in WRITES)]


async def ask(
    router: Harness,
    http: aiohttp.ClientSession,
    path: str,
    *,
    headers: dict[str, str] | None = None,
    method: str = "GET",
    json: Any = None,
) -> tuple[int, Any]:
    async with http.request(method, router.url(path), headers=headers, json=json) as response:
        assert response.content_type == "application/json", await response.text()
        return response.status, await response.json()


@pytest.mark.parametrize(("method", "path"), EVERY)
async def test_nothing_is_shown_without_a_token(
    router: Harness, http: aiohttp.ClientSession, method: str, path: str
) -> None:
    add(router)
    status, body = await ask(router, http, path, method=method)
    assert (status, body["error"]) == (401, "Unauthorized")
    assert body.keys() == {"error", "message"}


@pytest.mark.parametrize(("method", "path"), EVERY)
async def test_tokens_that_nobody_has_issued_open_nothing(
    router: Harness, http: aiohttp.ClientSession, method: str, path: str
) -> None:
    add(router)
    know_people(router)
    forged = SigningKey.generate().sign(
        TokenType.CLIENT, audience="podstream-router", subject="anything"
    )
    for token in ("guess", forged):
        status, body = await ask(router, http, path, method=method, headers=as_person(token))
        assert (status, body["error"]) == (401, "Unauthorized")
        assert token not in body["message"]


async def test_a_sessions_token_opens_its_own_session_only(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    ball, other = add(router), add(router, "other")
    mine = router.bearer(ball)
    status, body = await ask(router, http, "/api/v1/me", headers=mine)
    assert body == {"kind": "session", "session": {"namespace": "lab", "name": "ball"}}
    status, body = await ask(router, http, "/api/v1/sessions", headers=mine)
    assert [item["name"] for item in body["items"]] == ["ball"]
    status, body = await ask(router, http, "/api/v1/sessions/lab/ball", headers=mine)
    assert (status, body["uid"]) == (200, ball.uid)
    status, body = await ask(router, http, "/api/v1/pools", headers=mine)
    assert body == {"items": []}
    assert other.key.name == "other"


@pytest.mark.parametrize(
    ("method", "path"),
    [(method, path.replace("/ball", "/other")) for method, path in EVERY if "/ball" in path],
)
async def test_another_session_is_refused_the_same_whether_it_exists_or_not(
    router: Harness, http: aiohttp.ClientSession, method: str, path: str
) -> None:
    mine = router.bearer(add(router))
    absent = await ask(router, http, path, method=method, headers=mine, json={})
    add(router, "other")
    there = await ask(router, http, path, method=method, headers=mine, json={})
    assert there == absent
    assert there[0] == 403
    assert router.api.sent == []


@pytest.mark.parametrize(("method", "path"), EVERY)
async def test_a_token_for_looking_on_opens_nothing_here(
    router: Harness, http: aiohttp.ClientSession, method: str, path: str
) -> None:
    viewer = router.token(add(router), claims={VIEW_CLAIM: VIEW_SCOPE})
    status, body = await ask(
        router,
        http,
        path,
        method=method,
        headers=as_person(viewer),
        json={} if method == "POST" else None,
    )
    assert (status, body["error"]) == (403, "WrongSession")


async def test_the_token_of_an_earlier_session_of_the_same_name_opens_nothing(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    before = session_route()
    add(router)
    status, body = await ask(
        router, http, "/api/v1/sessions/lab/ball", headers=router.bearer(before)
    )
    assert (status, body["error"]) == (403, "WrongSession")


async def test_a_person_sees_the_namespaces_that_kubernetes_lets_them_see(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    know_people(router)
    add(router)
    status, body = await ask(router, http, "/api/v1/me", headers=as_person(ADA))
    assert body == {
        "kind": "person",
        "name": "ada",
        "namespaces": ["lab"],
        "mayCreateIn": ["lab"],
    }
    status, body = await ask(router, http, "/api/v1/sessions", headers=as_person(ADA))
    assert [item["name"] for item in body["items"]] == ["ball"]
    status, body = await ask(router, http, "/api/v1/sessions", headers=as_person(EVE))
    assert (status, body["error"]) == (403, "Forbidden")
    assert "eve may list streamsessions in none of: lab" in body["message"]
    status, body = await ask(router, http, "/api/v1/sessions/x/ball", headers=as_person(ADA))
    assert (status, body["error"]) == (403, "Forbidden")
    status, body = await ask(router, http, "/api/v1/sessions/lab/no", headers=as_person(ADA))
    assert (status, body["error"]) == (404, "UnknownSession")


async def test_without_the_right_to_review_people_are_told_so(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    status, body = await ask(router, http, "/api/v1/me", headers=as_person(ADA))
    assert (status, body["error"]) == (503, "LoginUnavailable")
    assert "adminLogin" in body["message"]


async def test_login_of_people_can_be_switched_off(http: aiohttp.ClientSession) -> None:
    async with running_router(admin_login=False) as router:
        know_people(router)
        status, _ = await ask(router, http, "/api/v1/me", headers=as_person(ADA))
        assert status == 401
        assert router.api.sent == []


async def test_tokens_of_this_project_are_never_sent_to_the_api_server(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    know_people(router)
    session = add(router)
    expired = router.token(session, lifetime_s=-1000.0)
    status, _ = await ask(router, http, "/api/v1/me", headers=as_person(expired))
    assert status == 401
    assert router.api.sent == []


async def test_no_token_is_logged(
    router: Harness, http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    know_people(router)
    session = add(router)
    token = router.token(session)
    for given in (ADA, EVE, "guess", token):
        for path in READS[:4]:
            if path != "/api/v1/events":
                await ask(router, http, path, headers=as_person(given))
    written = "".join(record.getMessage() + str(record.__dict__) for record in caplog.records)
    for given in (ADA, EVE, token):
        assert given not in written


async def test_requests_are_limited_by_source(http: aiohttp.ClientSession) -> None:
    async with running_router() as router:
        router.router._dashboard._door._rate._rate = 1.0
        router.router._dashboard._door._rate._burst = 2.0
        answers = [await ask(router, http, "/api/v1/me") for _ in range(4)]
    assert {status for status, _ in answers} == {401, 429}


async def test_reviews_are_remembered_for_a_while_and_refusals_are_not() -> None:
    api = QuietApi()
    now = 0.0

    def send(_method: str, path: str, body: dict[str, Any], _token: str | None) -> bytes:
        if path.endswith("/tokenreviews"):
            good = body["spec"]["token"] == ADA
            known = b'{"status": {"authenticated": true, "user": {"username": "ada"}}}'
            return known if good else b'{"status": {"authenticated": false}}'
        return b'{"status": {"allowed": true}}'

    api.on_send = send
    people = People(api, namespaces=("lab", "team"), clock=lambda: now)
    person = await people.identify(ADA)
    assert person.readable == {"lab", "team"}
    assert ADA not in repr(person)
    asked = len(api.sent)
    assert asked == 1 + 2 * 2
    assert await people.identify(ADA) is person
    assert len(api.sent) == asked
    now = KEPT_S + 0.1
    assert await people.identify(ADA) is not person
    for _ in range(2):
        with pytest.raises(Unauthorized):
            await people.identify("guess")
    assert len(api.sent) == 2 * asked + 2
