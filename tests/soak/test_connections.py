"""Many connections at once, and one after another: never two on a pod, and nothing left behind.

CONNECTIONS (50) and CYCLES (500) set the size.
"""

import asyncio
import os
from contextlib import AsyncExitStack
from typing import Final

import pytest
from av import VideoFrame

from load.balls import COUNT, ball, number_of
from load.kube import DELETED, session_body
from load.meter import MIB, Meter, metering
from load.player import Player, Refused
from load.pools import SESSIONS, running_pool
from load.processes import main_pid
from load.quantiles import Quantiles, machine
from podstream_core.ufrag import pod_digest
from soak.ground import SPEC, Ground, on_ground

CONNECTIONS: Final = int(os.environ.get("CONNECTIONS", "50"))
CYCLES: Final = int(os.environ.get("CYCLES", "500"))
WARM: Final = 4
FRAMES: Final = 3
TIMEOUT_S: Final = 300.0
MAX_GROWTH_MIB: Final = 8.0
"""Of router and operator over all cycles but the first fifth: what allocators keep back."""
MAX_MORE_DESCRIPTORS: Final = 10

pytestmark = [pytest.mark.long, pytest.mark.e2e, pytest.mark.timeout(3600)]


async def play_all(stack: AsyncExitStack, players: list[Player]) -> list[VideoFrame]:
    """Connect all players at once; the first frame of each."""
    for player in players:
        await stack.enter_async_context(player)
    return list(await asyncio.gather(*(player.play(timeout_s=TIMEOUT_S) for player in players)))


async def test_every_session_of_many_has_its_own_pod_and_picture(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each session draws a ball that no other has; a client that sees another's is on its pod."""
    assert CONNECTIONS <= COUNT
    async with on_ground() as ground, AsyncExitStack() as stack:
        pool = await stack.enter_async_context(
            running_pool(ground.api, spec=SPEC, warm=CONNECTIONS, most=CONNECTIONS)
        )
        await pool.filled(CONNECTIONS)
        chosen = [f"{pool.name}-own-{number}" for number in range(CONNECTIONS)]
        for number, name in enumerate(chosen):
            circle = {**SPEC["circle"], "ball": ball(number)}
            spec = {**SPEC, "circle": circle, "poolRef": {"name": pool.name}}
            await ground.api.create(SESSIONS, session_body(name, spec))
            stack.push_async_callback(ground.api.delete, f"{SESSIONS}/{name}")
        for name in chosen:
            await ground.sessions.wait_for(name, "Ready", timeout_s=TIMEOUT_S)
        players = [ground.to_session(name) for name in chosen]
        frames = await play_all(stack, players)

        uids = [ground.pod_uid(name) for name in chosen]
        assert len(set(uids)) == CONNECTIONS
        assert pool.origins(ground.sessions, chosen) == {"Warm": CONNECTIONS}
        assert [player.pod_digest for player in players] == [pod_digest(uid) for uid in uids]
        assert [number_of(frame) for frame in frames] == list(range(CONNECTIONS))
        for _ in range(FRAMES):
            later = await asyncio.gather(*(player.next_frame() for player in players))
            assert [number_of(frame) for frame in later] == list(range(CONNECTIONS))
        await refuse_a_second_client(ground, chosen[0])
        _print_times(capsys, players)


async def test_every_connection_of_many_gets_its_own_session_and_pod(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Clients that know only the pool: as many sessions and pods as there are clients."""
    async with on_ground() as ground, AsyncExitStack() as stack:
        pool = await stack.enter_async_context(
            running_pool(ground.api, spec=SPEC, warm=CONNECTIONS, most=CONNECTIONS)
        )
        await pool.filled(CONNECTIONS)
        players = [ground.to_pool(pool.name) for _ in range(CONNECTIONS)]
        await play_all(stack, players)
        chosen = [player.session for player in players]
        assert len(set(chosen)) == CONNECTIONS
        for name in chosen:
            await ground.sessions.wait_for(name, "Connected", timeout_s=TIMEOUT_S)
        uids = [ground.pod_uid(name) for name in chosen]
        assert len(set(uids)) == CONNECTIONS
        assert [player.pod_digest for player in players] == [pod_digest(uid) for uid in uids]

        async with ground.to_pool(pool.name) as one_more:
            with pytest.raises(Refused) as refusal:
                await one_more.play(timeout_s=TIMEOUT_S)
        assert refusal.value.status == 503
        _print_times(capsys, players)


async def refuse_a_second_client(ground: Ground, session: str) -> None:
    """A session that has its client answers another one that it is busy."""
    async with ground.to_session(session) as second:
        with pytest.raises(Refused) as refusal:
            await second.play(timeout_s=TIMEOUT_S)
    assert refusal.value.status in (409, 503)


async def test_hundreds_of_connections_leave_nothing_behind(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with on_ground() as ground:
        secrets, before = await ground.secrets(), await ground.session_names()
        async with (
            running_pool(ground.api, spec=SPEC, warm=WARM, most=3 * WARM) as pool,
            metering(main_pid("router")) as router,
            metering(main_pid("operator")) as operator,
        ):
            await pool.filled(WARM)
            chosen: list[str] = []
            marks: list[float] = []
            for _ in range(CYCLES):
                async with ground.to_pool(pool.name) as player:
                    await player.play(timeout_s=TIMEOUT_S)
                    await player.leave()
                chosen.append(player.session)
                marks.append(router.look().at)
            for name in chosen:
                await ground.sessions.wait_for(name, DELETED, timeout_s=TIMEOUT_S)
            await pool.filled(WARM)
            for meter in (router, operator):
                meter.look()
            assert len(set(chosen)) == CYCLES
            assert len({ground.pod_uid(name) for name in chosen}) == CYCLES
            assert await ground.session_names() == before
            assert len(await ground.session_pods()) == WARM
        assert await ground.secrets() == secrets
        assert await ground.session_pods() == set()
    settled = marks[CYCLES // 5]
    with capsys.disabled():
        print(f"\n{CYCLES} cycles in {marks[-1] - marks[0]:.0f} s; {machine()}")
        for name, meter in (("router", router), ("operator", operator)):
            growth, more = _growth(meter, since=settled)
            print(f"  {name}: {meter.peak_mib():.0f} MiB, {growth:+.1f} MiB, {more:+d} descriptors")
    for meter in (router, operator):
        growth, more = _growth(meter, since=settled)
        assert growth <= MAX_GROWTH_MIB
        assert more <= MAX_MORE_DESCRIPTORS


def _growth(meter: Meter, *, since: float) -> tuple[float, int]:
    """Memory (MiB) and descriptors at the end against a moment when all was warm."""
    first = next(sample for sample in meter.samples if sample.at >= since)
    last = meter.samples[-1]
    return (last.rss - first.rss) / MIB, last.descriptors - first.descriptors


def _print_times(capsys: pytest.CaptureFixture[str], players: list[Player]) -> None:
    times = [player.times for player in players]
    with capsys.disabled():
        print(f"\n{len(players)} connections at once; {machine()}")
        print(f"  answer       {Quantiles.of(item.answered - item.asked for item in times)}")
        print(f"  first frame  {Quantiles.of(item.frame - item.asked for item in times)}")
