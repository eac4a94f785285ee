"""Sessions out of a pool, against cold ones of the same spec in the same run.

    make bench BENCH=tests/bench/bench_pool.py          # or, after eval "$(make -s cluster-env)":
    PYTHONPATH=tests:tests/cluster python tests/bench/bench_pool.py [--size 40] [--rates 1 5 20]

Bursts: a pool is filled with as many pods as the burst has sessions and may have no more, so that
no pod starts meanwhile, and the machine comes to rest; sessions with `poolRef` are created through
the API at each rate, and a watch shows when they are Ready. Two cores have 100 ms for each session
of a burst at 20 a second, for cluster and bench as well: who took them is printed. Sustained: a
pool that refills gives a session at a steady rate, each removed once it is Ready. Connections: a
WHEP client POSTs to the pool's URL and gets a session and a pod of its own; the clock starts with
the POST and ends at the answer's first byte and at the first decoded frame, out of a filled pool
and out of one that keeps nothing warm.
"""

import argparse
import asyncio
import secrets
import time
from collections.abc import Sequence
from typing import Any, Final

import aiohttp

from load.kube import Follower, KubeApi, connected, create_at_rate, following, session_body
from load.kube import session_marks as marks
from load.player import Player, Times
from load.pools import SESSIONS, Pool, running_pool
from load.quantiles import Quantiles, machine, quiet
from load.shares import shares
from load.site import NAMESPACE, Site

TIMEOUT_S: Final = 180.0
SPEC: Final = {
    "circle": {"width": 160, "height": 120, "fps": 15, "frames": 0},
    "access": {"mode": "Public"},
    "lingerSeconds": 0,
    "ttlSecondsAfterFinished": 60,
    "startupTimeoutSeconds": 600,
    "reconnectSeconds": 0,
    "pod": {"resources": {"requests": {"cpu": "1m", "memory": "32Mi", "ephemeral-storage": "1Mi"}}},
}


async def remove(api: KubeApi, chosen: Sequence[str]) -> None:
    """Delete sessions; their pods follow."""
    await asyncio.gather(*(api.delete(f"{SESSIONS}/{name}") for name in chosen))


async def run_burst(
    api: KubeApi, sessions: Follower, *, size: int, rate: float, pool: Pool | None
) -> Quantiles:
    """Create sessions at a rate and remove them when all are Ready; creation to Ready."""
    spec: dict[str, Any] = SPEC if pool is None else {**SPEC, "poolRef": {"name": pool.name}}
    prefix = f"burst-{secrets.token_hex(3)}"
    chosen = [f"{prefix}-{number}" for number in range(size)]
    bodies = [session_body(name, spec) for name in chosen]
    with shares() as taken:
        await create_at_rate(api, SESSIONS, bodies, rate=rate, follower=sessions)
        for name in chosen:
            await sessions.wait_for(name, "Ready", timeout_s=TIMEOUT_S)
    print(f"  CPU until all are Ready, each of {size}: {taken.per(size)}")
    if pool is not None:
        origins = pool.origins(sessions, chosen)
        uids = {sessions.latest[name]["status"]["pod"]["uid"] for name in chosen}
        assert len(uids) == size, f"{size} sessions on {len(uids)} pods"
        if origins != {"Warm": size}:
            print(f"  not all warm: {origins}")
    await remove(api, chosen)
    return Quantiles.of(sessions.seconds(name, "created", "Ready") for name in chosen)


async def run_sustained(
    api: KubeApi, sessions: Follower, *, pool: Pool, rate: float, seconds: float
) -> None:
    """A session at a time, at a steady rate, each removed when it is Ready."""
    prefix = f"steady-{secrets.token_hex(3)}"
    spec = {**SPEC, "poolRef": {"name": pool.name}}
    chosen = [f"{prefix}-{number}" for number in range(round(rate * seconds))]

    async def clear() -> None:
        for name in chosen:
            await sessions.wait_for(name, "Ready", timeout_s=TIMEOUT_S + seconds)
            await api.delete(f"{SESSIONS}/{name}")

    clearing = asyncio.create_task(clear())
    bodies = [session_body(name, spec) for name in chosen]
    begun, last = await create_at_rate(api, SESSIONS, bodies, rate=rate, follower=sessions)
    await clearing
    settled = max(sessions.moments[name]["Ready"] for name in chosen)
    value = Quantiles.of(sessions.seconds(name, "created", "Ready") for name in chosen)
    print(f"  sustained {rate:g}/s with refill      {value}")
    print(
        f"    settled / arrival time {(settled - begun) / (last - begun):.2f}, "
        f"{pool.origins(sessions, chosen)}"
    )


async def connect(http: aiohttp.ClientSession, site: Site, pool: Pool) -> tuple[Times, str]:
    """One connection to the pool; its times and its session's name."""
    async with Player(http, f"{site.router_url}/p/{NAMESPACE}/{pool.name}/whep") as player:
        await player.play(timeout_s=TIMEOUT_S)
        await player.leave()
        return player.times, player.session


async def run_connections(
    http: aiohttp.ClientSession, site: Site, *, pool: Pool, count: int, kept: int
) -> tuple[Quantiles, Quantiles]:
    """Connections one after another, each out of a pool as filled as it gets."""
    bytes_s, frames_s = [], []
    for _ in range(count):
        await pool.filled(kept)
        times, session = await connect(http, site, pool)
        bytes_s.append(times.answered - times.asked)
        frames_s.append(times.frame - times.asked)
        await pool.api.delete(f"{SESSIONS}/{session}")
    return Quantiles.of(bytes_s), Quantiles.of(frames_s)


async def run(options: argparse.Namespace) -> None:
    site = Site.from_env()
    size: int = options.size
    print(f"pool, {size} sessions a burst; {machine()}")
    async with (
        connected(site.kubeconfig) as api,
        aiohttp.ClientSession() as http,
        following(api, SESSIONS, marks=marks) as sessions,
    ):
        cold = await run_burst(api, sessions, size=size, rate=1, pool=None)
        print(f"  cold, 1/s, create -> Ready      {cold}")
        async with running_pool(api, spec=SPEC, warm=size, most=size) as pool:
            begun = time.monotonic()
            await pool.filled(size)
            print(f"  {size} pods filled in {time.monotonic() - begun:.1f} s")
            for rate in options.rates:
                if not await quiet():
                    print(
                        "  the machine did not come to rest; the next figures hold other work, too"
                    )
                warm = await run_burst(api, sessions, size=size, rate=rate, pool=pool)
                print(f"  warm, {rate:g}/s, create -> Ready     {warm}")
                print(f"    ratio warm / cold: p50 {warm.p50 / cold.p50:.3f}x; {machine()}")
                await pool.filled(size)
        async with running_pool(
            api, spec=SPEC, warm=options.refill, most=10 * options.refill
        ) as pool:
            await pool.filled(options.refill)
            await run_sustained(
                api, sessions, pool=pool, rate=options.sustained, seconds=options.seconds
            )
            await pool.filled(options.refill)
            first, frame = await run_connections(
                http, site, pool=pool, count=options.connections, kept=options.refill
            )
        async with running_pool(api, spec=SPEC, warm=0, most=10) as pool:
            cold_first, cold_frame = await run_connections(
                http, site, pool=pool, count=options.connections, kept=0
            )
    for what, value in (
        ("warm connection -> first byte", first),
        ("warm connection -> first frame", frame),
        ("cold connection -> first byte", cold_first),
        ("cold connection -> first frame", cold_frame),
    ):
        print(f"  {what:<32}{value}")
    print(f"    ratio warm / cold: first byte p50 {first.p50 / cold_first.p50:.3f}x, ", end="")
    print(f"first frame p50 {frame.p50 / cold_frame.p50:.3f}x; {machine()}")


def main() -> None:
    parser = argparse.ArgumentParser(description="sessions out of a pool, against cold ones")
    parser.add_argument("--size", type=int, default=40, help="sessions of a burst")
    parser.add_argument("--rates", type=float, nargs="+", default=[1.0, 5.0, 20.0])
    parser.add_argument("--refill", type=int, default=5, help="idle pods of the refilling pool")
    parser.add_argument("--sustained", type=float, default=0.5, help="sessions a second")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long they come")
    parser.add_argument("--connections", type=int, default=10)
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
