import asyncio
from typing import Any

import aioice
import aioice.ice
import pytest

from media.ice_relay import connected, gather
from podstream_workloads.media.takeover import (
    ALTERNATIVE_SILENT_S,
    MAX_PATHS,
    SILENT_S,
    TakeoverConnection,
    seconds_until_takeover,
)

NEVER = 3600


@pytest.fixture
def quick_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client sends its consent checks twice a second instead of every five seconds."""
    monkeypatch.setattr(aioice.ice, "CONSENT_INTERVAL", 0.5)


@pytest.fixture
def no_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody checks anything once ICE has completed."""
    monkeypatch.setattr(aioice.ice, "CONSENT_INTERVAL", NEVER)


@pytest.mark.parametrize(
    ("appeared_at", "now", "wait_s"),
    [
        pytest.param(100.5, 100.6, SILENT_S - 0.6, id="successor-waits"),
        pytest.param(100.5, 101.0, SILENT_S - 1.0, id="successor-is-due"),
        pytest.param(99.9, 100.2, SILENT_S - 0.2, id="successor-overtook-the-last-packet"),
        pytest.param(50.0, 101.0, ALTERNATIVE_SILENT_S - 1.0, id="alternative-waits-longer"),
        pytest.param(50.0, 103.5, ALTERNATIVE_SILENT_S - 3.5, id="alternative-is-due"),
    ],
)
def test_how_long_a_path_waits(appeared_at: float, now: float, wait_s: float) -> None:
    wait = seconds_until_takeover(heard_at=100.0, appeared_at=appeared_at, now=now)
    assert wait == pytest.approx(wait_s)


@pytest.mark.usefixtures("quick_checks")
async def test_stock_stays_with_the_dead_replica() -> None:
    """The reason for all this; when it fails, aioice follows its peer by itself."""
    async with connected(aioice.Connection(ice_controlling=False)) as pair:
        await pair.relay.replace()
        assert not await pair.reaches_client(within_s=1.8)


@pytest.mark.usefixtures("quick_checks")
async def test_the_path_follows_to_another_replica() -> None:
    async with connected(TakeoverConnection(ice_controlling=False)) as pair:
        began = asyncio.get_running_loop().time()
        await pair.relay.replace()
        assert await pair.reaches_client(within_s=3)
        assert SILENT_S - 0.7 < asyncio.get_running_loop().time() - began < 1.8


@pytest.mark.usefixtures("no_checks")
async def test_one_check_is_enough_even_if_the_silence_has_only_begun() -> None:
    """aioice checks every four to six seconds: the next check would come far too late."""
    async with connected(TakeoverConnection(ice_controlling=False)) as pair:
        await pair.client.send(b"\xc8heard just now")
        new = await pair.relay.replace()
        await send_check(pair.client)
        assert pair.pod.path != new
        assert await pair.reaches_client(within_s=2)
        assert pair.pod.path == new


@pytest.mark.usefixtures("no_checks")
async def test_a_path_that_is_heard_is_not_taken_over() -> None:
    async with connected(TakeoverConnection(ice_controlling=False)) as pair:
        used = pair.pod.path
        old = pair.relay.backs[-1]
        await pair.relay.replace(stop_old=False)
        await send_check(pair.client)
        for _ in range(12):
            old.sendto(b"\xc8still here", pair.relay.pod)
            await asyncio.sleep(0.1)
        assert pair.pod.path == used


@pytest.mark.usefixtures("no_checks")
async def test_an_order_moves_the_path_at_once_and_without_any_check() -> None:
    async with connected(TakeoverConnection(ice_controlling=False)) as pair:
        new = await pair.relay.replace()
        assert not await pair.reaches_client(within_s=0.1)
        assert pair.pod.redirect(new)
        assert await pair.reaches_client(within_s=0.5)
        assert pair.pod.redirect(new)


@pytest.mark.usefixtures("quick_checks")
@pytest.mark.parametrize("controlling", [False, True], ids=["whep", "signalling"])
async def test_moves_do_not_add_up_and_consent_goes_on(*, controlling: bool) -> None:
    async with connected(TakeoverConnection(ice_controlling=controlling)) as pair:
        for _ in range(2 * MAX_PATHS):
            assert pair.pod.redirect(await pair.relay.replace())
        assert len(pair.pod._check_list) <= MAX_PATHS + 1
        assert len(pair.pod.remote_candidates) <= MAX_PATHS + 1
        assert await pair.reaches_client(within_s=1)
        await asyncio.sleep(0.8)
        assert await pair.reaches_client(within_s=1)
        assert pair.pod.path == pair.relay.backs[-1].get_extra_info("sockname")


async def test_there_is_nothing_to_move_before_ice_and_after_the_end() -> None:
    connection = TakeoverConnection(ice_controlling=False)
    await gather(connection)
    assert not connection.redirect(("127.0.0.1", 9))
    await connection.close()
    assert not connection.redirect(("127.0.0.1", 9))
    assert connection.path is None


@pytest.mark.parametrize("knows", [True, False], ids=["knows-the-password", "does-not"])
async def test_only_a_check_with_our_password_is_looked_at(
    monkeypatch: pytest.MonkeyPatch, *, knows: bool
) -> None:
    connection = TakeoverConnection(ice_controlling=False)
    private: Any = connection
    private._early_checks_done = True
    host, port = await gather(connection)
    stranger = aioice.Connection(ice_controlling=True)
    await gather(stranger)
    seen: list[Any] = []
    answered = asyncio.Event()
    monkeypatch.setattr(connection, "check_incoming", lambda *args: seen.append(args))
    protocol = private._protocols[0]
    respond = protocol.send_stun

    def send_stun(message: Any, addr: Any) -> None:
        respond(message, addr)
        answered.set()

    monkeypatch.setattr(protocol, "send_stun", send_stun)
    connection.remote_username = stranger.local_username
    stranger.remote_username = connection.local_username
    stranger.remote_password = connection.local_password if knows else "x" * 22
    await send_check(stranger, to=(host, port), wait=False)
    async with asyncio.timeout(2):
        await answered.wait()
    await asyncio.sleep(0)
    assert bool(seen) is knows
    await stranger.close()
    await connection.close()


async def send_check(
    client: aioice.Connection, *, to: tuple[str, int] | None = None, wait: bool = True
) -> None:
    """Send one consent check, as a client does once in a while."""
    private: Any = client
    (protocol,) = private._protocols
    remote = aioice.Candidate(
        foundation="1",
        component=1,
        transport="udp",
        priority=1,
        host=to[0] if to else "127.0.0.1",
        port=to[1] if to else 9,
        type="host",
    )
    pair = private._nominated.get(1) or aioice.ice.CandidatePair(protocol, remote)
    address = to or pair.remote_addr
    request = private.build_request(pair, nominate=False)
    key = private.remote_password.encode()
    if wait:
        async with asyncio.timeout(2):
            await protocol.request(request, address, integrity_key=key)
    else:
        request.add_message_integrity(key)
        protocol.send_stun(request, address)
