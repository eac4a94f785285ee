"""A quarter of an hour of everything at once: connections, departures, killed pods, bad clients.

SOAK_MINUTES (15) sets the time, SOAK_RATE (2) how many clients dial a second. A machine that starts
fewer pods a second than that refuses the others as busy, which is an answer, not a fault.
"""

import asyncio
import os
import random
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import aiohttp
import pytest

from load.bad_clients import BadClients
from load.kube import DELETED
from load.meter import Meter, metering
from load.player import Refused
from load.pools import PODS, Pool, running_pool
from load.processes import main_pid
from load.quantiles import machine
from load.site import media_address, signalling_address
from podstream_core.ufrag import pod_digest
from soak.ground import SPEC, Ground, on_ground

MINUTES: Final = float(os.environ.get("SOAK_MINUTES", "15"))
RATE: Final = float(os.environ.get("SOAK_RATE", "2"))
WARM: Final = 4
MOST: Final = 12
STAY_S: Final = (2.0, 8.0)
KILL_EVERY_S: Final = 10.0
MAX_SLOPE_MIB_PER_MIN: Final = 1.0
MAX_MORE_DESCRIPTORS: Final = 20
TIMEOUT_S: Final = 120.0

pytestmark = [pytest.mark.long, pytest.mark.e2e, pytest.mark.timeout(int(MINUTES * 60) + 1800)]


@dataclass
class Tally:
    """What has happened."""

    outcomes: Counter[str] = field(default_factory=Counter)
    served: dict[str, str] = field(default_factory=dict)
    """Digest of the pod that a client's media came from, by session."""
    killed: set[str] = field(default_factory=set)
    """Sessions whose pod was killed."""
    live: dict[str, bool] = field(default_factory=dict)
    """Sessions that play at this moment."""


async def test_everything_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    tally = Tally()
    async with (
        on_ground() as ground,
        running_pool(ground.api, spec=SPEC, warm=WARM, most=MOST) as pool,
    ):
        await pool.filled(WARM)
        bad = BadClients(
            ground.http,
            ground.site.router_url,
            pool.name,
            signalling=signalling_address(),
            media=media_address(),
        )
        async with (
            metering(main_pid("router"), interval_s=5.0) as router,
            metering(main_pid("operator"), interval_s=5.0) as operator,
        ):
            begun = time.monotonic()
            async with asyncio.TaskGroup() as group:  # ends at once where a disturber breaks
                disturbing = [
                    group.create_task(bad.run(pause_s=0.5), name="bad clients"),
                    group.create_task(kill_pods(ground, pool, tally), name="kills"),
                ]
                await dial(ground, pool, tally, until=begun + MINUTES * 60)
                for task in disturbing:
                    task.cancel()
            for name in tally.served:
                await ground.sessions.wait_for(name, DELETED, timeout_s=TIMEOUT_S)
            await pool.filled(WARM)
        endings = {name: ending(ground, name) for name in tally.served}
        pods = {name: ground.pod_uid(name) for name in tally.served}
    report(capsys, tally, bad, endings, meters={"router": router, "operator": operator})

    assert tally.outcomes["played"] > 0
    assert not tally.outcomes["lost"], tally.outcomes
    assert all(pod_digest(pods[name]) == digest for name, digest in tally.served.items())
    assert len(set(pods.values())) == len(pods), "two sessions had the same pod"
    lost = {name: why for name, why in endings.items() if why != "Completed"}
    assert set(lost) <= tally.killed, f"lost without a kill: {lost}"
    assert set(lost.values()) <= {"PodLost"}, lost
    settled = begun + MINUTES * 60 / 5
    for meter in (router, operator):
        assert meter.slope_mib_per_min(since=settled) <= MAX_SLOPE_MIB_PER_MIN
        assert more_descriptors(meter, since=settled) <= MAX_MORE_DESCRIPTORS


async def dial(ground: Ground, pool: Pool, tally: Tally, *, until: float) -> None:
    """Clients dial at a steady rate, whatever becomes of the others."""
    begun = time.monotonic()
    async with asyncio.TaskGroup() as group:
        number = 0
        while time.monotonic() < until:
            group.create_task(visit(ground, pool, tally))
            number += 1
            await asyncio.sleep(begun + number / RATE - time.monotonic())


async def visit(ground: Ground, pool: Pool, tally: Tally) -> None:
    """One client: dials, looks for a while, leaves; some just vanish."""
    tally.outcomes["dialled"] += 1
    stay_s = random.uniform(*STAY_S)
    async with ground.to_pool(pool.name) as player:
        try:
            await player.play(timeout_s=TIMEOUT_S)
        except Refused as refusal:
            tally.outcomes[f"refused {refusal.status}"] += 1
            return
        except (TimeoutError, aiohttp.ClientError):
            tally.outcomes["lost"] += 1
            return
        finally:
            if player.session:
                tally.served[player.session] = player.pod_digest
        tally.live[player.session] = True
        begun = time.monotonic()
        await player.watch(stay_s)
        del tally.live[player.session]
        if time.monotonic() - begun < stay_s - 0.5 and player.session not in tally.killed:
            tally.outcomes["lost"] += 1
            return
        tally.outcomes["played"] += 1
        if random.random() < 0.7:
            with suppress(aiohttp.ClientError):
                await player.leave()


async def kill_pods(ground: Ground, pool: Pool, tally: Tally) -> None:
    """Every few seconds a pod that is in use dies without a word."""
    while True:
        await asyncio.sleep(KILL_EVERY_S)
        by_session = {
            pod["metadata"]["labels"].get("podstream.dev/session"): name
            for name, pod in pool.pods.latest.items()
            if DELETED not in pool.pods.moments[name]
        }
        victims = [name for name in tally.live if name in by_session]
        if victims:
            victim = random.choice(victims)
            tally.killed.add(victim)
            await ground.api.delete(f"{PODS}/{by_session[victim]}", grace_s=0)


def ending(ground: Ground, session: str) -> str:
    """How a session ended: `Completed`, or the reason of its failure."""
    status = ground.sessions.latest[session].get("status", {})
    if status.get("phase") == "Completed":
        return "Completed"
    for condition in status.get("conditions", []):
        if condition["type"] == "Completed":
            return str(condition["reason"])
    return f"still {status.get('phase')}"


def more_descriptors(meter: Meter, *, since: float) -> int:
    """Descriptors at the end against a moment when all was warm."""
    first = next(sample for sample in meter.samples if sample.at >= since)
    return meter.samples[-1].descriptors - first.descriptors


def report(
    capsys: pytest.CaptureFixture[str],
    tally: Tally,
    bad: BadClients,
    endings: dict[str, str],
    *,
    meters: dict[str, Meter],
) -> None:
    """Print what happened and what it took."""
    with capsys.disabled():
        print(f"\nsoak, {MINUTES:g} min, {RATE:g} clients a second; {machine()}")
        print(f"  clients: {dict(tally.outcomes)}")
        print(f"  sessions: {dict(Counter(endings.values()))}, {len(tally.killed)} pods killed")
        print(f"  bad clients: {dict(sorted(bad.seen.items()))}")
        for name, meter in meters.items():
            settled = meter.samples[0].at + MINUTES * 60 / 5
            print(
                f"  {name}: peak {meter.peak_mib():.0f} MiB, "
                f"{meter.slope_mib_per_min(since=settled):+.2f} MiB/min, "
                f"{more_descriptors(meter, since=settled):+d} descriptors, "
                f"{meter.cores():.2f} cores"
            )
