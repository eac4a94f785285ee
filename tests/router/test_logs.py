"""Every line of the router about a session says which one, in the same fields."""

import asyncio

import aiohttp

from fakes.fake_agent import description
from fakes.log_lines import log_lines, messages
from router.harness import Harness, running_router, session_route, until

OFFER = description("client12", host="203.0.113.9", port=54321)
SDP = {"Content-Type": "application/sdp"}


async def test_lines_of_a_whole_life_name_session_and_pod(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    session, _, pod = await router.add()
    url = router.url("/s/lab/ball/whep")
    with log_lines("podstream_router") as lines:
        async with http.post(url, data=OFFER, headers={**SDP, **router.bearer(session)}) as made:
            location = made.headers["Location"]
        async with http.post(url, data=OFFER, headers=SDP) as refused:
            assert refused.status == 401
        async with http.delete(router.url(location), headers=router.bearer(session)) as ended:
            assert ended.status == 200
    assert {"connection bound", "connection refused", "connection ended"} <= set(messages(lines))
    for line in lines:
        assert (line.get("namespace"), line.get("session")) == ("lab", "ball"), line
        if line["message"] != "connection refused":
            assert line["pod"] == pod.name, line


async def test_refusal_at_a_listener_names_the_session_that_it_led_to() -> None:
    """There the client names none: only the router knows."""
    async with running_router(hold_timeout_s=0.1) as router:
        without_pod = session_route(public=True, listeners=("signalling",))
        router.router.routes.upsert_session(without_pod)
        await _be_refused(router)


async def _be_refused(router: Harness) -> None:
    with log_lines("podstream_router") as lines:
        port = router.router.ports["signalling"]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read() == b""
        writer.close()
        await until(lambda: "connection refused" in messages(lines))
    (line,) = [line for line in lines if line["message"] == "connection refused"]
    assert line["listener"] == "signalling"
    assert line["error"] == "NotReady"
    assert (line["namespace"], line["session"]) == ("lab", "ball")
