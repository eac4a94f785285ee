"""What can be done on the dashboard, and with whose rights."""

import base64
import json
from typing import Any

import aiohttp
import pytest

from podstream_router.watch import ApiError
from router.dashboards import ADA, add, as_person, know_people, show
from router.harness import Harness, session_route
from router.test_dashboard_access import ask

SESSIONS = "/apis/podstream.dev/v1alpha1/namespaces/lab/streamsessions"
SPEC = {"circle": {"frames": 3}}


def answering(router: Harness, answers: dict[str, Any]) -> None:
    """Let the API server answer requests by method and path; an exception is raised."""
    know_people(router)
    reviews = router.api.on_send

    def send(method: str, path: str, body: dict[str, Any], token: str | None) -> bytes:
        answer = answers.get(f"{method} {path}")
        if answer is None:
            return reviews(method, path, body, token)
        if isinstance(answer, Exception):
            raise answer
        return json.dumps(answer).encode()

    router.api.on_send = send


def orders(router: Harness) -> list[Any]:
    """What was sent beside reviews."""
    return [item for item in router.api.sent if not item[1].endswith("reviews")]


async def test_a_session_is_created_with_the_persons_own_token(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    answering(router, {f"POST {SESSIONS}": {}})
    body = {"namespace": "lab", "name": "new", "spec": SPEC}
    status, _ = await ask(
        router, http, "/api/v1/sessions", method="POST", headers=as_person(), json=body
    )
    assert status == 201
    ((method, path, sent, token),) = orders(router)
    assert (method, path, token) == ("POST", SESSIONS, ADA)
    assert sent["spec"] == SPEC
    assert sent["metadata"] == {"name": "new", "namespace": "lab"}


async def test_what_the_api_refuses_is_said_in_its_own_words(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    causes = [{"field": "spec.circle.fps", "message": "should be less than or equal to 120"}]
    answering(router, {f"POST {SESSIONS}": ApiError(422, "new is invalid", causes=causes)})
    body = {"namespace": "lab", "name": "new", "spec": SPEC, "dryRun": True}
    status, answer = await ask(
        router, http, "/api/v1/sessions", method="POST", headers=as_person(), json=body
    )
    assert status == 422
    assert answer == {"error": "Rejected", "message": "new is invalid", "causes": causes}


@pytest.mark.parametrize(
    ("fault", "status", "error"),
    [
        (ApiError(403, "ada cannot create"), 403, "Forbidden"),
        (ApiError(409, "exists"), 409, "Rejected"),
        (ApiError(500, "boom"), 503, "Overloaded"),
    ],
)
async def test_other_refusals_keep_their_meaning(
    router: Harness, http: aiohttp.ClientSession, fault: ApiError, status: int, error: str
) -> None:
    answering(router, {f"POST {SESSIONS}": fault})
    body = {"namespace": "lab", "name": "new", "spec": SPEC}
    found, answer = await ask(
        router, http, "/api/v1/sessions", method="POST", headers=as_person(), json=body
    )
    assert (found, answer["error"]) == (status, error)


@pytest.mark.parametrize(
    "body",
    [
        {"namespace": "lab/../x", "name": "new", "spec": SPEC},
        {"namespace": "lab", "name": "../../secrets", "spec": SPEC},
        {"namespace": "lab", "name": "new"},
        {"namespace": "lab", "name": "new", "spec": SPEC, "kind": "Pod"},
    ],
)
async def test_bodies_that_make_no_sense_reach_no_api(
    router: Harness, http: aiohttp.ClientSession, body: Any
) -> None:
    know_people(router)
    status, answer = await ask(
        router, http, "/api/v1/sessions", method="POST", headers=as_person(), json=body
    )
    assert (status, answer["error"]) == (400, "BadRequest")
    assert orders(router) == []


async def test_a_sessions_token_creates_nothing(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    ball = add(router)
    body = {"namespace": "lab", "name": "new", "spec": SPEC}
    status, answer = await ask(
        router, http, "/api/v1/sessions", method="POST", headers=router.bearer(ball), json=body
    )
    assert (status, answer["error"]) == (403, "Forbidden")
    assert router.api.sent == []


async def test_who_holds_the_token_ends_the_session(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    ball = add(router)
    path = "/api/v1/sessions/lab/ball/end"
    headers = router.bearer(ball)
    status, answer = await ask(router, http, path, method="POST", headers=headers, json={})
    assert (status, answer["error"]) == (503, "NotReady"), "there is no pod yet"
    agent, _ = await router.start_agent(ball)
    status, _ = await ask(router, http, path, method="POST", headers=headers, json={})
    assert status == 202
    assert [item["reason"] for item in agent.drains] == ["EndedByUser"]
    assert router.api.sent == [], "no write is needed for it"
    show(router, session_route(uid=ball.uid, phase="Failed", ended="the session is Failed"))
    status, answer = await ask(router, http, path, method="POST", headers=headers, json={})
    assert (status, answer["error"]) == (410, "SessionEnded")


async def test_a_person_ends_a_session_only_with_the_right_to_change_it(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    ball = add(router)
    agent, _ = await router.start_agent(ball)
    path = "/api/v1/sessions/lab/ball/end"
    answering(router, {f"PATCH {SESSIONS}/ball": ApiError(403, "ada cannot patch")})
    status, answer = await ask(router, http, path, method="POST", headers=as_person(), json={})
    assert (status, answer["message"]) == (403, "ada cannot patch")
    assert agent.drains == []
    answering(router, {f"PATCH {SESSIONS}/ball": {}})
    status, _ = await ask(router, http, path, method="POST", headers=as_person(), json={})
    assert status == 202
    assert len(agent.drains) == 1
    assert {token for _, _, _, token in orders(router)} == {ADA}


@pytest.mark.parametrize(
    ("path", "order", "patch"),
    [
        ("stream", {"state": "Stopped"}, {"stream": {"state": "Stopped"}}),
        ("recording", {"enabled": True}, {"stream": {"recording": {"enabled": True}}}),
    ],
)
async def test_stream_and_recording_are_switched_by_the_spec(
    router: Harness,
    http: aiohttp.ClientSession,
    path: str,
    order: dict[str, Any],
    patch: dict[str, Any],
) -> None:
    camera = add(router, "camera", workloads=("stream",))
    answering(router, {f"PATCH {SESSIONS}/camera": {}})
    for headers, token in ((router.bearer(camera), None), (as_person(), ADA)):
        status, _ = await ask(
            router,
            http,
            f"/api/v1/sessions/lab/camera/{path}",
            method="POST",
            headers=headers,
            json=order,
        )
        assert status == 202
        assert orders(router)[-1][2:] == ({"spec": patch}, token)


@pytest.mark.parametrize(
    ("path", "order"),
    [
        ("stream", {"state": "Paused"}),
        ("stream", {"state": "Stopped", "more": 1}),
        ("recording", {"enabled": "yes"}),
        ("recording", []),
    ],
)
async def test_orders_that_are_none_are_refused(
    router: Harness, http: aiohttp.ClientSession, path: str, order: Any
) -> None:
    camera = add(router, "camera", workloads=("stream",))
    status, answer = await ask(
        router,
        http,
        f"/api/v1/sessions/lab/camera/{path}",
        method="POST",
        headers=router.bearer(camera),
        json=order,
    )
    assert (status, answer["error"]) == (400, "BadRequest")
    assert router.api.sent == []


async def test_a_person_gets_a_sessions_token_with_their_right_to_its_secret(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    ball = session_route()
    show(router, ball, access={"secretName": "ball-access"})
    secret = {"data": {"token": base64.b64encode(b"the-token").decode()}}
    answering(router, {"GET /api/v1/namespaces/lab/secrets/ball-access": secret})
    path = "/api/v1/sessions/lab/ball/token"
    status, answer = await ask(router, http, path, headers=as_person())
    assert (status, answer) == (200, {"token": "the-token"})
    assert orders(router)[-1][3] == ADA
    denied = ApiError(403, "ada cannot get secrets")
    answering(router, {"GET /api/v1/namespaces/lab/secrets/ball-access": denied})
    assert (await ask(router, http, path, headers=as_person()))[0] == 403


async def test_events_are_those_of_this_session(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    ball = add(router)
    items = [
        {
            "reason": "Late",
            "eventTime": "2026-01-02T00:00:00Z",
            "involvedObject": {"uid": ball.uid},
        },
        {
            "reason": "Other",
            "eventTime": "2026-01-01T00:00:00Z",
            "involvedObject": {"uid": "before"},
        },
        {
            "reason": "Early",
            "eventTime": "2026-01-01T00:00:00Z",
            "involvedObject": {"uid": ball.uid},
        },
    ]
    answering(router, {"GET /api/v1/namespaces/lab/events": {"items": items}})
    path = "/api/v1/sessions/lab/ball/kubernetes-events"
    status, answer = await ask(router, http, path, headers=as_person())
    assert [item["reason"] for item in answer["items"]] == ["Early", "Late"]
    status, answer = await ask(router, http, path, headers=router.bearer(ball))
    assert (status, answer["error"]) == (403, "Forbidden")


async def test_files_of_the_pod_are_listed(router: Harness, http: aiohttp.ClientSession) -> None:
    ball = add(router)
    path = "/api/v1/sessions/lab/ball/files"
    assert await ask(router, http, path, headers=router.bearer(ball)) == (200, {"items": []})
    agent, _ = await router.start_agent(ball)
    agent.artefacts["stream-a.mp4"] = b"film"
    _, answer = await ask(router, http, path, headers=router.bearer(ball))
    assert [(item["name"], item["size"]) for item in answer["items"]] == [("stream-a.mp4", 4)]
