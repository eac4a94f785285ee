"""A browser's media element reads a session's files by a cookie that opens nothing else."""

import time
from http.cookies import Morsel, SimpleCookie

import aiohttp
import pytest

from podstream_core.tokens import CLIENT_AUDIENCE, TokenType
from podstream_router.passes import COOKIE, LIFETIME_S
from router.dashboards import ADA, add, as_person, know_people, session_entry, show
from router.harness import Harness

FILE = "stream-film.mp4"
PASS = "/api/v1/sessions/lab/ball/files/pass"
FILM = f"/s/lab/ball/results/{FILE}"
CONTENT = bytes(range(256)) * 64


async def given(
    router: Harness, http: aiohttp.ClientSession, headers: dict[str, str]
) -> "Morsel[str]":
    async with http.post(router.url(PASS), headers=headers) as response:
        assert response.status == 200
        return SimpleCookie(response.headers["Set-Cookie"])[COOKIE]


def shown(value: str) -> dict[str, str]:
    return {"Cookie": f"{COOKIE}={value}"}


async def test_a_player_seeks_in_a_film_with_a_pass(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    session, agent, _ = await router.add()
    agent.artefacts[FILE] = CONTENT
    router.router.board.put(session_entry(session))
    cookie = await given(router, http, router.bearer(session))
    part = {**shown(cookie.value), "Range": "bytes=16-31"}
    async with http.get(router.url(FILM), headers=part) as response:
        assert (response.status, await response.read()) == (206, CONTENT[16:32])


async def test_a_pass_is_for_this_session_s_files_and_out_of_reach_for_scripts(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    cookie = await given(router, http, router.bearer(add(router)))
    assert cookie["path"] == "/s/lab/ball/results/"
    assert cookie["httponly"] is True
    assert cookie["samesite"] == "Strict"
    assert cookie["max-age"] == str(LIFETIME_S)
    assert not cookie["secure"]


async def test_a_browser_that_came_by_tls_sends_it_by_tls_only(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    behind = {**router.bearer(add(router)), "X-Forwarded-Proto": "https"}
    assert (await given(router, http, behind))["secure"] is True


async def test_a_pass_opens_no_other_session_and_nothing_but_files(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    await router.add("other")
    session, _, _ = await router.add()
    show(router, session)
    value = (await given(router, http, router.bearer(session))).value
    for path, status in (
        (f"/s/lab/other/results/{FILE}", 403),
        ("/s/lab/ball/results", 401),
        ("/api/v1/me", 401),
    ):
        async with http.get(router.url(path), headers=shown(value)) as response:
            assert response.status == status, path
    as_token = {"Authorization": f"Bearer {value}"}
    for path in (FILM, "/api/v1/me"):
        async with http.get(router.url(path), headers=as_token) as response:
            assert response.status == 401, path


@pytest.mark.parametrize("audience", ["podstream-router/files", CLIENT_AUDIENCE])
async def test_old_passes_and_client_tokens_are_no_pass(
    router: Harness, http: aiohttp.ClientSession, audience: str
) -> None:
    session, agent, _ = await router.add()
    agent.artefacts[FILE] = CONTENT
    old = time.time() - LIFETIME_S - 60 if audience != CLIENT_AUDIENCE else None
    value = router.client_key.sign(
        TokenType.CLIENT, audience=audience, subject=session.uid, lifetime_s=LIFETIME_S, now=old
    )
    async with http.get(router.url(FILM), headers=shown(value)) as response:
        assert response.status == 401


async def test_a_person_gets_a_pass_by_the_session_s_token_only(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    """Who may list sessions may not thereby read their tokens, and so not their films."""
    add(router)
    know_people(router)
    async with http.post(router.url(PASS), headers=as_person(ADA)) as response:
        assert response.status == 403
        assert "Set-Cookie" not in response.headers
