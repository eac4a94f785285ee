import asyncio
import re
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from fakes.fake_agent import description
from podstream_core.names import VIEW_CLAIM, VIEW_SCOPE
from podstream_core.tokens import SigningKey, TokenType
from podstream_core.ufrag import make_ufrag
from podstream_router.routes import SessionRoute
from podstream_router.settings import Limits
from router.harness import Harness, metric, pod_route, running_router, session_route, until

OFFER = description("client12", host="203.0.113.9", port=54321)
SDP = {"Content-Type": "application/sdp"}
FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}
CANDIDATE = "a=mid:0\r\na=candidate:1 1 udp 1 203.0.113.9 1 typ host\r\n"


def whep(router: Harness, session: SessionRoute) -> str:
    return router.url(f"/s/{session.key.namespace}/{session.key.name}/whep")


async def post(
    http: aiohttp.ClientSession, router: Harness, session: SessionRoute, **changes: Any
) -> tuple[aiohttp.ClientResponse, str]:
    headers = {**SDP, **router.bearer(session), **changes.pop("headers", {})}
    async with http.post(
        whep(router, session), data=changes.pop("data", OFFER), headers=headers
    ) as response:
        return response, await response.text()


async def test_offer_reaches_the_pod_and_the_answer_leads_to_the_router(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    session, agent, pod = await router.add()

    response, answer = await post(http, router, session)

    assert response.status == 201
    assert response.content_type == "application/sdp"
    (connection,) = agent.connections
    assert response.headers["Location"] == f"/s/lab/ball/whep/{connection}"
    assert "203.0.113.9" not in agent.offers[0]
    assert pod.ip not in answer
    assert re.findall(r"a=candidate:\d+ 1 udp \d+ (\S+ \d+)", answer) == [
        "192.0.2.1 3478",
        "198.51.100.7 30478",
    ]
    (grant,) = agent.grants
    assert (grant.workload, grant.role, grant.protocol) == ("circle", "player", "WHEP")
    assert grant.session_uid == session.uid
    assert metric(router.router, "connections_total", protocol="WHEP", result="Bound") == 1


async def test_a_publisher_takes_the_same_way(router: Harness, http: aiohttp.ClientSession) -> None:
    """WHIP (RFC 9725): 201 with Location, PATCH 204, DELETE 200; the one slot of the session."""
    session, agent, _ = await router.add()
    headers = {**SDP, **router.bearer(session)}
    url = router.url("/s/lab/ball/whip")

    async with http.options(url) as response:
        assert response.headers["Accept-Post"] == "application/sdp"
    async with http.post(url, data=OFFER, headers=headers) as response:
        assert response.status == 201
        assert response.content_type == "application/sdp"
        assert "ETag" not in response.headers
        location = response.headers["Location"]
    (connection,) = agent.connections
    assert location == f"/s/lab/ball/whip/{connection}"
    (grant,) = agent.grants
    assert (grant.workload, grant.role, grant.protocol) == ("circle", "player", "WHIP")
    assert metric(router.router, "connections_total", protocol="WHIP", result="Bound") == 1

    fragment = {**FRAGMENT, **router.bearer(session)}
    async with http.patch(router.url(location), data=CANDIDATE, headers=fragment) as response:
        assert response.status == 204
    async with http.delete(router.url(location)) as response:
        assert response.status == 401
    async with http.delete(router.url(location), headers=router.bearer(session)) as response:
        assert response.status == 200
    assert not agent.connections


async def test_who_looks_on_by_whep_is_a_viewer_of_his_own(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    session, agent, _ = await router.add("cam", workloads=("stream",))
    view = {"Authorization": f"Bearer {router.token(session, claims={VIEW_CLAIM: VIEW_SCOPE})}"}
    for bearer in (router.bearer(session), router.bearer(session), view):
        url = router.url("/s/lab/cam/whep")
        async with http.post(url, data=OFFER, headers={**SDP, **bearer}) as response:
            assert response.status == 201
            location = response.headers["Location"]
        async with http.delete(router.url(location), headers=bearer) as response:
            assert response.status == 200
    assert {(grant.workload, grant.role) for grant in agent.grants} == {("stream", "viewer")}
    assert len({grant.holder for grant in agent.grants if grant.protocol == "WHEP"}) >= 3
    async with http.post(
        router.url("/s/lab/cam/whip"), data=OFFER, headers={**SDP, **view}
    ) as response:
        assert response.status == 403


async def test_a_publisher_of_a_stream_takes_its_place(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    session, agent, _ = await router.add("cam", workloads=("stream",))
    headers = {**SDP, **router.bearer(session)}
    async with http.post(router.url("/s/lab/cam/whip"), data=OFFER, headers=headers) as response:
        assert response.status == 201
    (grant,) = agent.grants
    assert (grant.workload, grant.role, grant.protocol) == ("stream", "publisher", "WHIP")


async def test_a_publisher_needs_the_token(router: Harness, http: aiohttp.ClientSession) -> None:
    await router.add()
    async with http.post(router.url("/s/lab/ball/whip"), data=OFFER, headers=SDP) as response:
        assert response.status == 401
        assert response.headers["WWW-Authenticate"].startswith("Bearer")


async def test_connection_that_is_earlier_than_the_pod_is_held(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    session = session_route()
    router.router.routes.upsert_session(session)
    waiting = asyncio.create_task(post(http, router, session))
    await asyncio.sleep(0.1)
    assert not waiting.done()

    await router.start_agent(session)

    response, _ = await waiting
    assert response.status == 201


async def test_pod_that_just_started_is_dialled_until_it_answers(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    session = session_route()
    pod = pod_route(session)
    router.router.routes.upsert_session(session)
    router.router.routes.upsert_pod(pod)
    waiting = asyncio.create_task(post(http, router, session))
    await until(lambda: metric(router.router, "dial_retries_total") >= 1)

    await router.start_agent(session, pod=pod)

    response, _ = await waiting
    assert response.status == 201


async def test_workload_that_is_not_ready_is_asked_again(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    session, agent, _ = await router.add()
    agent.refusals.extend([(425, "NotReady")] * 3)
    response, _ = await post(http, router, session)
    assert response.status == 201
    assert len({grant.holder for grant in agent.grants}) == 1


async def test_replacement_pod_takes_the_held_connection(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    session, agent, pod = await router.add()
    agent.refusals.extend([(425, "NotReady")] * 1000)
    waiting = asyncio.create_task(post(http, router, session))
    await until(lambda: len(agent.refusals) < 1000)

    router.router.routes.remove_pod(pod.uid)
    other, _ = await router.start_agent(session)

    response, _ = await waiting
    assert response.status == 201
    assert len(other.offers) == 1


async def test_hold_is_bounded(http: aiohttp.ClientSession) -> None:
    async with running_router(hold_timeout_s=0.1) as router:
        session = session_route()
        router.router.routes.upsert_session(session)
        response, body = await post(http, router, session)
    assert response.status == 503
    assert "Retry-After" in response.headers
    assert '"NotReady"' in body


async def test_second_client_is_told_that_the_session_is_busy(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    session, agent, _ = await router.add()
    agent.connections["other"] = "somebody else"
    response, body = await post(http, router, session)
    assert response.status == 503
    assert int(response.headers["Retry-After"]) > 0
    assert '"Busy"' in body
    assert metric(router.router, "connections_total", protocol="WHEP", result="Busy") == 1


async def test_client_that_comes_back_is_recognised(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    session, agent, _ = await router.add()
    headers = router.bearer(session)
    for _ in range(2):
        response, _ = await post(http, router, session, headers=headers)
        assert response.status == 201
    first, second = agent.grants
    assert first.holder == second.holder


async def test_public_session_needs_no_token_and_tells_clients_apart(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    session, agent, _ = await router.add(public=True)
    answers = []
    for _ in range(2):
        async with http.post(whep(router, session), data=OFFER, headers=SDP) as response:
            answers.append(response.status)
    assert answers == [201, 503]
    assert len(agent.grants) == 1


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        pytest.param(410, "SessionEnded", (410, "SessionEnded"), id="ended"),
        pytest.param(400, "BadOffer", (400, "BadOffer"), id="bad-offer"),
        pytest.param(422, "UnsupportedOffer", (422, "UnsupportedOffer"), id="no-common-codec"),
        pytest.param(500, "Oops", (502, "PodFailed"), id="pod-fails"),
        pytest.param(401, "InvalidToken", (502, "PodFailed"), id="pod-knows-no-key-of-ours"),
    ],
)
async def test_refusal_of_the_pod_is_passed_on(
    router: Harness,
    http: aiohttp.ClientSession,
    status: int,
    code: str,
    expected: tuple[int, str],
) -> None:
    session, agent, _ = await router.add()
    agent.refusals.append((status, code))
    response, _ = await post(http, router, session)
    assert (response.status, (await response.json())["error"]) == expected


async def test_ended_session_is_gone(router: Harness, http: aiohttp.ClientSession) -> None:
    session, _, _ = await router.add(ended="the session is Completed")
    response, body = await post(http, router, session)
    assert response.status == 410
    assert "Completed" in body


async def test_unknown_session_is_not_found(router: Harness, http: aiohttp.ClientSession) -> None:
    async with http.post(whep(router, session_route("none")), data=OFFER, headers=SDP) as response:
        assert response.status == 404
        assert (await response.json())["error"] == "UnknownSession"


async def test_good_token_waits_for_a_session_that_the_watch_has_not_shown_yet(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    session = session_route()
    waiting = asyncio.create_task(post(http, router, session))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    router.router.routes.upsert_session(session)
    await router.start_agent(session)
    response, _ = await waiting
    assert response.status == 201


async def test_token_is_needed(router: Harness, http: aiohttp.ClientSession) -> None:
    session, agent, _ = await router.add()
    async with http.post(whep(router, session), data=OFFER, headers=SDP) as response:
        assert response.status == 401
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert not agent.offers


async def test_token_that_is_not_ours_is_refused(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    session, agent, _ = await router.add()
    expired = router.token(session, lifetime_s=-120)
    wrong_kind = router.client_key.sign(
        TokenType.CONTROL, audience="podstream-router", subject=session.uid
    )
    forged = SigningKey.generate().sign(
        TokenType.CLIENT, audience="podstream-router", subject=session.uid
    )
    other_audience = router.token(session, audience="pod:1")
    for token in (expired, wrong_kind, forged, other_audience, "rubbish"):
        headers = {"Authorization": f"Bearer {token}"}
        response, _ = await post(http, router, session, headers=headers)
        assert response.status == 401
    response, _ = await post(http, router, session, headers={"Authorization": "Basic eDp5"})
    assert response.status == 401
    assert not agent.offers


async def test_token_of_another_session_is_forbidden(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    session, agent, _ = await router.add()
    other = session_route("other")
    response, _ = await post(http, router, session, headers=router.bearer(other))
    assert response.status == 403
    assert not agent.offers


@pytest.mark.parametrize(
    ("headers", "data", "status"),
    [
        pytest.param({"Content-Type": "text/plain"}, OFFER, 415, id="another-type"),
        pytest.param({"Content-Encoding": "gzip"}, OFFER, 415, id="compressed"),
        pytest.param({}, "hello", 400, id="no-sdp"),
        pytest.param({}, OFFER.replace("a=ice-ufrag", "a=x"), 400, id="no-ice"),
        pytest.param({}, b"\xff\xfe", 400, id="not-utf8"),
        pytest.param({}, "v=0\r\n" + "a" * 70_000, 413, id="too-large"),
    ],
)
async def test_unusable_offer_never_reaches_the_pod(
    router: Harness,
    http: aiohttp.ClientSession,
    headers: dict[str, str],
    data: str | bytes,
    status: int,
) -> None:
    session, agent, _ = await router.add()
    response, _ = await post(http, router, session, headers=headers, data=data)
    assert response.status == status
    assert set(await response.json()) == {"error", "message"}
    assert not agent.offers


async def test_chunked_body_without_length_is_bounded(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    session, _, _ = await router.add()

    async def endless() -> Any:
        for _ in range(100):
            yield b"a" * 4096

    response, _ = await post(http, router, session, data=endless())
    assert response.status == 413


async def test_answer_that_does_not_name_its_pod_is_not_passed_on(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    session, agent, _ = await router.add()

    async def foreign(_offer: str) -> str:
        return description(make_ufrag("another pod", port=20000))

    agent.answerer = foreign
    response, _ = await post(http, router, session)
    assert response.status == 502
    await until(lambda: not agent.connections)


async def test_connection_ends_with_delete(router: Harness, http: aiohttp.ClientSession) -> None:
    session, agent, _ = await router.add()
    response, _ = await post(http, router, session)
    location = router.url(response.headers["Location"])

    async with http.delete(location) as refused:
        assert refused.status == 401
    async with http.delete(location, headers=router.bearer(session_route())) as refused:
        assert refused.status == 403
    assert agent.connections

    async with http.delete(location, headers=router.bearer(session)) as ended:
        assert ended.status == 200
    assert not agent.connections
    async with http.delete(location, headers=router.bearer(session)) as again:
        assert again.status == 404


async def test_trickled_candidates_are_accepted_and_dropped(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    session, _, _ = await router.add()
    response, _ = await post(http, router, session)
    location = router.url(response.headers["Location"])
    auth = router.bearer(session)

    async def patch(data: str, **headers: str) -> int:
        async with http.patch(location, data=data, headers={**FRAGMENT, **headers}) as answer:
            return answer.status

    assert await patch(CANDIDATE, **auth) == 204
    assert await patch(CANDIDATE) == 401
    assert await patch(CANDIDATE, **router.bearer(session_route())) == 403
    assert await patch("nonsense", **auth) == 400
    assert await patch(CANDIDATE, **auth, **{"If-Match": "*"}) == 422
    assert await patch(CANDIDATE, **{**auth, "Content-Type": "text/plain"}) == 415


async def test_preflight_needs_no_token_and_pages_of_any_origin_may_play(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    session, _, _ = await router.add()
    for path in ("whep", "whep/some-connection"):
        async with http.options(router.url(f"/s/lab/ball/{path}")) as response:
            assert response.status == 200
            assert response.headers["Accept-Post"] == "application/sdp"
            assert "PATCH" in response.headers["Access-Control-Allow-Methods"]
            assert "Authorization" in response.headers["Access-Control-Allow-Headers"]
            assert response.headers["Access-Control-Allow-Origin"] == "*"
    response, _ = await post(http, router, session)
    assert "Location" in response.headers["Access-Control-Expose-Headers"]
    async with http.post(whep(router, session)) as refused:
        assert refused.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
async def test_other_methods_are_not_allowed(
    router: Harness, http: aiohttp.ClientSession, method: str
) -> None:
    async with http.request(method, router.url("/s/lab/ball/whep")) as response:
        assert response.status == 405
        assert "POST" in response.headers["Allow"]


async def test_unknown_path_is_explained(router: Harness, http: aiohttp.ClientSession) -> None:
    for path in ("/nothing", "/s/lab/Ball_/whep/x/y"):
        async with http.get(router.url(path)) as response:
            assert response.status == 404
            assert set(await response.json()) == {"error", "message"}
    async with http.get(router.url("/")) as response:
        assert response.status == 200
        assert "whep" in await response.text()


async def test_client_that_hangs_up_while_held_frees_its_place(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    session, agent, _ = await router.add()
    agent.refusals.extend([(425, "NotReady")] * 10_000)
    waiting = asyncio.create_task(post(http, router, session))
    await until(lambda: len(agent.refusals) < 10_000)
    waiting.cancel()
    await asyncio.wait({waiting})
    await until(
        lambda: metric(router.router, "connections_total", protocol="WHEP", result="Abandoned") == 1
    )


async def test_slot_is_given_back_when_the_client_leaves_before_the_answer(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    session, agent, _ = await router.add()
    agent.delay_s = 0.1
    waiting = asyncio.create_task(post(http, router, session))
    await until(lambda: agent.connections)
    waiting.cancel()
    await asyncio.wait({waiting})
    await until(lambda: not agent.connections)


async def test_held_connections_are_bounded(http: aiohttp.ClientSession) -> None:
    async with running_router(limits=Limits(held=1), hold_timeout_s=1.0) as router:
        session = session_route()
        router.router.routes.upsert_session(session)
        first = asyncio.create_task(post(http, router, session))
        await until(lambda: router.router._held.count == 1)
        response, body = await post(http, router, session)
        assert response.status == 503
        assert '"Overloaded"' in body
        await first


async def test_requests_of_one_source_are_limited(http: aiohttp.ClientSession) -> None:
    async with running_router(limits=Limits(requests_per_second=1)) as router:
        session, _, _ = await router.add()
        headers = router.bearer(session)
        statuses = [
            (await post(http, router, session, headers=headers))[0].status for _ in range(3)
        ]
    assert statuses == [201, 201, 429]


async def test_pod_of_before_the_key_rotation_still_takes_connections(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    session, agent, _ = await router.add()
    router.router._agent._transport.signers = (SigningKey.generate(), router.signing)
    response, _ = await post(http, router, session)
    assert response.status == 201
    assert len(agent.grants) == 1


async def test_session_that_changes_its_uid_needs_its_new_token(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    session = session_route()
    router.router.routes.upsert_session(session)
    waiting = asyncio.create_task(post(http, router, session))
    await until(lambda: router.router._held.count == 1)
    router.router.routes.upsert_session(replace(session, uid="another"))
    response, _ = await waiting
    assert response.status == 403
