"""Who is let in, by which token, and for how long; strict and compatible."""

import hashlib
import hmac
import json
import time
from base64 import urlsafe_b64encode
from dataclasses import replace

import aiohttp
import pytest

from podstream_workloads.tracking.orchestrator import (
    Limits,
    Orchestrator,
    OrchestratorSettings,
    SqliteTimelines,
)
from tracking.orchestrator.harness import FakeClock, Server, Wire, serving, until
from tracking.orchestrator.keys import CLIENT, PROCESSOR, auth, public_pem, token

BOTH = ["/client", "/processor"]
ROLE = {"/client": CLIENT, "/processor": PROCESSOR}
BEARER = {"Authorization": f"Bearer {token(CLIENT)}"}
STRICT = OrchestratorSettings(auth=auth())
COMPAT = OrchestratorSettings(auth=auth(), compat=True)


def hmac_with_the_public_key() -> str:
    """A token "signed" with what everybody knows; PyJWT itself refuses to make one."""

    def part(raw: bytes) -> str:
        return urlsafe_b64encode(raw).rstrip(b"=").decode()

    _, claims, _ = token(CLIENT, PROCESSOR).split(".")
    signed = part(json.dumps({"alg": "HS256", "typ": "JWT"}).encode()) + "." + claims
    digest = hmac.digest(public_pem().encode(), signed.encode(), hashlib.sha256)
    return f"{signed}.{part(digest)}"


def unsigned() -> str:
    head = urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    return f"{head}.{token(CLIENT, PROCESSOR).split('.')[1]}."


async def is_admitted(server: Server, wire: Wire) -> None:
    """The peer's messages have an effect, and it is still connected."""
    del server
    await wire.nothing_more()


@pytest.mark.parametrize("path", BOTH)
@pytest.mark.parametrize("settings", [STRICT, COMPAT], ids=["strict", "compat"])
async def test_a_good_token_lets_in_without_a_reply(
    settings: OrchestratorSettings, path: str
) -> None:
    async with serving(settings) as server:
        wire = await server.connect(path)
        await wire.say(type="authenticate", jwt=token(ROLE[path]))
        await is_admitted(server, wire)


@pytest.mark.parametrize("settings", [STRICT, COMPAT], ids=["strict", "compat"])
@pytest.mark.parametrize(
    "bad",
    [
        pytest.param({"jwt": token(CLIENT, PROCESSOR, key="other")}, id="forged"),
        pytest.param({"jwt": token(CLIENT, PROCESSOR, audience="other")}, id="wrong audience"),
        pytest.param({"jwt": token(CLIENT, PROCESSOR, audience=None)}, id="no audience"),
        pytest.param({"jwt": token("Guest")}, id="wrong role"),
        pytest.param({"jwt": token(CLIENT, PROCESSOR, resource_access=[])}, id="no roles"),
        pytest.param({"jwt": token(CLIENT, PROCESSOR, expires_in=-10)}, id="expired"),
        pytest.param({"jwt": token(CLIENT, PROCESSOR, expires_in=None)}, id="without exp"),
        pytest.param({"jwt": unsigned()}, id="unsigned"),
        pytest.param({"jwt": hmac_with_the_public_key()}, id="public key as HMAC secret"),
        pytest.param({"jwt": "nonsense"}, id="no token"),
        pytest.param({"jwt": 5}, id="a number"),
        pytest.param({}, id="missing"),
    ],
)
async def test_a_bad_token_leaves_the_socket_open_for_another_try(
    settings: OrchestratorSettings, bad: dict[str, object]
) -> None:
    async with serving(settings) as server:
        for path in BOTH:
            wire = await server.connect(path)
            await wire.say(type="authenticate", **bad)
            await wire.say_text("no JSON at all")
            await wire.say(type="authenticate", jwt=token(ROLE[path]))
            await is_admitted(server, wire)


@pytest.mark.parametrize("path", BOTH)
@pytest.mark.parametrize(
    ("settings", "code"),
    [
        pytest.param(STRICT, 4401, id="strict"),
        pytest.param(COMPAT, 0, id="compat closes without a code"),
    ],
)
@pytest.mark.parametrize("kind", ["identifier", "start", "unknown", "hello"])
async def test_another_message_before_the_token_closes(
    settings: OrchestratorSettings, code: int, path: str, kind: str
) -> None:
    async with serving(settings) as server:
        wire = await server.connect(path)
        await wire.say(type=kind, id="gate")
        assert await wire.closed() == code
        assert server.orchestrator.results().cameras == 0


async def test_a_client_gets_broadcasts_only_once_it_is_let_in() -> None:
    async with serving(OrchestratorSettings(auth=auth(processors=False))) as server:
        early = await server.connect("/client")
        gate = await server.processor("gate")
        await gate.say(type="boundingBoxes", frameId=1, boxes=[])
        await gate.nothing_more()
        await early.say(type="authenticate", jwt=token(CLIENT))
        await until(lambda: server.orchestrator.results().clients == 1)
        await gate.say(type="boundingBoxes", frameId=2, boxes=[])
        await early.expect(type="boundingBoxes", cameraId="gate", frameId=2, boxes=[])


async def test_authenticate_and_identifier_at_once_are_taken_in_order() -> None:
    async with serving(STRICT) as server:
        gate = await server.connect("/processor")
        await gate.say(type="authenticate", jwt=token(PROCESSOR))
        await gate.say(type="identifier", id="gate")
        await until(lambda: server.orchestrator.results().cameras == 1)


@pytest.mark.parametrize(
    ("clients", "processors"), [(True, True), (True, False), (False, True), (False, False)]
)
@pytest.mark.parametrize("compat", [False, True])
async def test_the_two_sides_are_independent(clients: bool, processors: bool, compat: bool) -> None:
    settings = OrchestratorSettings(
        auth=auth(clients=clients, processors=processors), compat=compat
    )
    async with serving(settings) as server:
        for path, guarded in (("/client", clients), ("/processor", processors)):
            wire = await server.connect(path)
            await wire.say(type="setUsesImages", usesImages=True, id=1)
            if guarded:
                await wire.closed()
            else:
                await wire.say(type="authenticate", jwt="ignored: an unknown type here")
                await wire.nothing_more()


async def test_authenticate_again_is_ignored_in_compat() -> None:
    async with serving(COMPAT) as server:
        wire = await server.connect("/client")
        await wire.say(type="authenticate", jwt=token(CLIENT))
        await wire.say(type="authenticate", jwt="nonsense")
        await wire.nothing_more()
        await wire.say(type="authenticate", jwt=token(CLIENT))
        error = await wire.next()
        assert (error["type"], error["code"]) == ("error", "UnknownType")


async def test_a_header_lets_in_when_strict_and_says_nothing_in_compat() -> None:
    async with serving(STRICT) as server:
        wire = await server.connect("/client", headers=BEARER)
        await wire.nothing_more()
        stranger = await server.connect("/client", headers={"Authorization": "Bearer nonsense"})
        await stranger.say(type="authenticate", jwt=token(CLIENT))
        await stranger.nothing_more()
    async with serving(COMPAT) as server:
        wire = await server.connect("/client", headers=BEARER)
        await wire.say(type="hello")
        await wire.closed()


@pytest.mark.parametrize(
    ("said", "code"),
    [
        pytest.param(None, 4401, id="nothing"),
        pytest.param("nonsense", 4401, id="bad token"),
        pytest.param(token("Guest"), 4403, id="role missing"),
    ],
)
async def test_strict_closes_at_the_deadline(said: str | None, code: int) -> None:
    clock = FakeClock(date=time.time())
    async with serving(STRICT, clock=clock) as server:
        wire = await server.connect("/client")
        if said is not None:
            await wire.say(type="authenticate", jwt=said)
            await wire.say_text("[]")
        clock.advance(4.9)
        server.orchestrator.look_after()
        await wire.socket.ping()
        assert not wire.socket.closed
        # The token must have been looked at before the deadline.
        await until(lambda: said is None or server_has_seen(server))
        clock.advance(0.2)
        assert await wire.closed() == code


def server_has_seen(server: Server) -> bool:
    """The one peer's token has been refused."""
    peers = server.orchestrator._peers
    return all(peer.admission.refused for peer in peers)


async def test_compat_has_no_deadline() -> None:
    clock = FakeClock(date=time.time())
    async with serving(COMPAT, clock=clock) as server:
        wire = await server.connect("/client")
        clock.advance(3600)
        server.orchestrator.look_after()
        await wire.say(type="authenticate", jwt=token(CLIENT))
        await wire.nothing_more()


async def test_an_expired_token_closes_the_open_socket_and_a_new_one_renews() -> None:
    clock = FakeClock(date=time.time())
    async with serving(STRICT, clock=clock) as server:
        short = await server.connect("/client")
        await short.say(type="authenticate", jwt=token(CLIENT, expires_in=100))
        renewed = await server.connect("/processor")
        await renewed.say(type="authenticate", jwt=token(PROCESSOR, expires_in=100))
        for wire in (short, renewed):
            await wire.nothing_more()
        await renewed.say(type="authenticate", jwt=token(PROCESSOR, expires_in=1000))
        await renewed.say(type="authenticate", jwt="nonsense")
        refused = await renewed.next()
        assert (refused["type"], refused["code"]) == ("error", "TokenRefused")
        clock.advance(98)
        server.orchestrator.look_after()
        await short.nothing_more()
        clock.advance(3)
        assert await short.closed() == 4401
        await renewed.nothing_more()
        clock.advance(900)
        assert await renewed.closed() == 4401


async def test_expiry_is_not_looked_at_again_in_compat() -> None:
    clock = FakeClock(date=time.time())
    async with serving(COMPAT, clock=clock) as server:
        wire = await server.connect("/client")
        await wire.say(type="authenticate", jwt=token(CLIENT, expires_in=100))
        await wire.nothing_more()
        clock.advance(3600)
        server.orchestrator.look_after()
        await wire.nothing_more()


async def test_an_expired_socket_closes_within_two_seconds() -> None:
    async with serving(STRICT) as server:
        wire = await server.connect("/client")
        await wire.say(type="authenticate", jwt=token(CLIENT, expires_in=5))
        await wire.nothing_more()
        assert await wire.closed() == 4401


@pytest.mark.parametrize("path", ["/timelines?objectId=1", "/objectIds"])
async def test_the_gets_need_the_client_role(path: str) -> None:
    async with serving(STRICT) as server:
        known = 200 if path == "/objectIds" else 400
        for headers, status in [
            ({}, 401),
            ({"Authorization": "Basic eDp5"}, 401),
            ({"Authorization": "Bearer nonsense"}, 401),
            ({"Authorization": f"Bearer {token(CLIENT, expires_in=-5)}"}, 401),
            ({"Authorization": f"Bearer {token(PROCESSOR)}"}, 403),
            (BEARER, known),
        ]:
            assert (await server.get(path, headers=headers))[0] == status, headers


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param(OrchestratorSettings(auth=auth(open_timelines=True)), id="left open"),
        pytest.param(COMPAT, id="compat"),
        pytest.param(OrchestratorSettings(auth=auth(clients=False)), id="clients need no token"),
        pytest.param(OrchestratorSettings(), id="no tokens"),
    ],
)
async def test_the_gets_are_open(settings: OrchestratorSettings) -> None:
    async with serving(settings) as server:
        assert await server.get("/objectIds") == (200, '{"data":[]}')


async def test_origins_outside_of_the_list_are_refused() -> None:
    settings = OrchestratorSettings(origins=("https://site.example",))
    async with serving(settings) as server:
        good, bad = {"Origin": "https://site.example"}, {"Origin": "https://evil.example"}
        await (await server.client(headers=good)).nothing_more()
        await (await server.client()).nothing_more()
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await server.connect("/client", headers=bad)
        assert refused.value.status == 403
        assert (await server.get("/objectIds", headers=bad))[0] == 403
        async with server.session.get(f"{server.url}/objectIds", headers=good) as response:
            assert response.headers["Access-Control-Allow-Origin"] == "https://site.example"
        async with server.session.options(f"{server.url}/timelines", headers=good) as response:
            assert response.headers["Access-Control-Allow-Headers"] == "Authorization"


def test_a_key_that_is_none_is_refused_at_once() -> None:
    settings = OrchestratorSettings(auth=replace(auth(), public_key="nonsense"))
    with pytest.raises(ValueError, match="not an RSA public key"):
        Orchestrator(settings, store=SqliteTimelines())


async def test_a_flood_of_tokens_is_read_slowly() -> None:
    limits = Limits(messages_per_s=1000, burst_messages=5)
    async with serving(OrchestratorSettings(auth=auth(), limits=limits)) as server:
        wire = await server.connect("/client")
        for _ in range(20):
            await wire.say(type="authenticate", jwt="nonsense")
        await wire.say(type="authenticate", jwt=token(CLIENT))
        await wire.nothing_more()
