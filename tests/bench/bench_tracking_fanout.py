"""Fan-out of boxes: CPU of the server for each delivery, many clients, and a stuck one.

    python tests/bench/bench_tracking_fanout.py [--clients 1 10 100] [--many 1000] [--json]

The server is a process of its own: podstream's orchestrator, or the shortest aiohttp server that
sends each message to each client with `send_json`, as the original does. Clients are bare sockets
in a third process. Three parts: CPU per delivery of a 1.3 KB message (10 boxes), with every message
waited for, so that nothing is dropped; 30 messages a second to many clients (CPU, latency); and
200 messages of 12 KB a second to ten clients of which one never reads (latency and longest gap of
the others, memory of the server). Only ratios between lines of one run mean anything.
"""

import argparse
import asyncio
import multiprocessing
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from typing import Any

import psutil
from aiohttp import web

from bench.kept import keep
from bench.tracking_wire import Seen, boxes, dial, frame, run_clients
from podstream_workloads.tracking.orchestrator import (
    Limits,
    Orchestrator,
    OrchestratorSettings,
    SqliteTimelines,
)

KINDS = ("send_json", "podstream")
BATCH = 50  # messages under way at once: less than a client's socket buffer takes


def naive_app() -> web.Application:
    """The original's way: one `send_json` per client and message, one after another."""
    clients: list[web.WebSocketResponse] = []

    async def client(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        clients.append(socket)
        async for _ in socket:
            pass
        clients.remove(socket)
        return socket

    async def processor(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            said = message.json()
            if said["type"] == "boundingBoxes":
                for receiver in clients:
                    await receiver.send_json(said | {"cameraId": "gate"})
        return socket

    app = web.Application()
    app.router.add_get("/client", client)
    app.router.add_get("/processor", processor)
    return app


def run_server(kind: str, pipe: Connection) -> None:
    """A server process; says its port."""

    async def main() -> None:
        if kind == "podstream":
            limits = Limits(messages_per_s=1e6)
            orchestrator = Orchestrator(
                OrchestratorSettings(limits=limits), store=SqliteTimelines()
            )
            await orchestrator.open()
            app = orchestrator.app()
        else:
            app = naive_app()
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, backlog=2048)
        await site.start()
        pipe.send(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(main())


@dataclass
class Run:
    """A server, its clients, and the processor that feeds them."""

    server: psutil.Process
    clients: Connection
    port: int

    def __post_init__(self) -> None:
        self.processor = dial(self.port, "/processor")
        self.processor.sendall(frame(b'{"type":"identifier","id":"gate"}'))
        self.peak_rss = 0

    def ask(self, order: str) -> Any:
        self.clients.send(order)
        return self.clients.recv()

    def cpu_s(self) -> float:
        times = self.server.cpu_times()
        return float(times.user + times.system)

    def wait_for(self, deliveries: int, within_s: float) -> int:
        until = time.monotonic() + within_s
        while (got := self.ask("count")) < deliveries and time.monotonic() < until:
            time.sleep(0.002)
        return int(got)

    def pace(self, *, per_s: float, seconds: float, count: int) -> int:
        """Send at a steady rate; how many messages."""
        begin, sent = time.monotonic(), 0
        self.processor.settimeout(seconds)
        while time.monotonic() - begin < seconds:
            try:
                self.processor.sendall(boxes(time.monotonic(), count))
            except TimeoutError:  # the server takes nothing any more
                break
            sent += 1
            if sent % 20 == 0:
                self.peak_rss = max(self.peak_rss, self.server.memory_info().rss)
            time.sleep(max(0.0, begin + sent / per_s - time.monotonic()))
        return sent


@contextmanager
def running(kind: str, clients: int, *, stuck: bool = False) -> Iterator[Run]:
    context = multiprocessing.get_context("spawn")
    near, far = context.Pipe()
    server = context.Process(target=run_server, args=(kind, far), daemon=True)
    server.start()
    processes = [server]
    try:
        port = near.recv()
        ours, theirs = context.Pipe()
        peers = context.Process(
            target=run_clients, args=(port, clients, stuck, theirs), daemon=True
        )
        peers.start()
        processes.append(peers)
        assert ours.recv() == "open"
        yield Run(psutil.Process(server.pid), ours, port)
    finally:
        for process in processes:
            process.kill()
            process.join()


def cpu_per_delivery_us(kind: str, clients: int, *, seconds: float) -> float:
    with running(kind, clients) as run:
        sent = 0
        begin_cpu, begin = run.cpu_s(), time.monotonic()
        while time.monotonic() - begin < seconds:
            for _ in range(BATCH):
                run.processor.sendall(boxes(time.monotonic(), 10))
            sent += BATCH
            assert run.wait_for(sent * clients, 60) == sent * clients
        return 1e6 * (run.cpu_s() - begin_cpu) / (sent * clients)


@dataclass
class Line:
    """One part of the benchmark for one server."""

    part: str
    server: str
    clients: int
    cpu_us_per_delivery: float | None = None
    ratio: float | None = None
    """CPU to that of `send_json` in the same run."""
    cpu_share: float | None = None
    delivered: float | None = None
    """Share of all deliveries."""
    p50_ms: float | None = None
    p99_ms: float | None = None
    longest_gap_ms: float | None = None
    rss_growth_mb: float | None = None
    """Largest during the run."""


def steady(
    part: str, kind: str, clients: int, *, per_s: float, seconds: float, count: int, stuck: bool
) -> Line:
    """A steady rate of messages of `count` boxes."""
    with running(kind, clients, stuck=stuck) as run:
        run.pace(per_s=per_s, seconds=1, count=count)
        time.sleep(0.5)
        run.ask("clear")
        rss, cpu, begin = run.server.memory_info().rss, run.cpu_s(), time.monotonic()
        sent = run.pace(per_s=per_s, seconds=seconds, count=count)
        share = (run.cpu_s() - cpu) / (time.monotonic() - begin)
        run.wait_for(sent * clients, 10)
        growth = run.peak_rss - rss
        seen: Seen = run.ask("end")
    wanted = per_s * seconds * clients
    latencies = statistics.quantiles(seen.latencies_ms, n=100) if seen.deliveries > 1 else [0] * 99
    return Line(
        part=part,
        server=kind,
        clients=clients,
        cpu_share=round(share, 3),
        delivered=round(min(1.0, seen.deliveries / wanted), 3),
        p50_ms=round(latencies[49], 1),
        p99_ms=round(latencies[98], 1),
        longest_gap_ms=round(seen.longest_gap_ms, 1),
        rss_growth_mb=round(growth / 2**20, 1),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="fan-out of the tracking orchestrator")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 10, 100])
    parser.add_argument("--many", type=int, default=1000, help="clients at 30/s; 0: skip")
    parser.add_argument("--seconds", type=float, default=5, help="of each part and server")
    parser.add_argument("--stuck-seconds", type=float, default=12, help="0: skip")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    lines = []
    for clients in options.clients:
        base = 0.0
        for kind in KINDS:
            cost = cpu_per_delivery_us(kind, clients, seconds=options.seconds)
            base = base or cost
            ratio = round(cost / base, 2)
            lines.append(Line("max rate", kind, clients, round(cost, 1), ratio))
            print(f"{clients:>5} clients  {kind:<10}{cost:8.1f} us/delivery  {ratio:.2f}x")
    parts = []
    if options.many:
        parts += [("30/s", kind, options.many, 30.0, 10, options.seconds, False) for kind in KINDS]
    if options.stuck_seconds:
        slow = options.stuck_seconds
        parts += [("undisturbed", "podstream", 9, 200.0, 95, slow, False)]
        parts += [("one stuck", kind, 9, 200.0, 95, slow, True) for kind in KINDS]
    for part, kind, clients, per_s, count, seconds, stuck in parts:
        line = steady(part, kind, clients, per_s=per_s, seconds=seconds, count=count, stuck=stuck)
        lines.append(line)
        print(
            f"{part:<12}{clients:>5} clients  {kind:<10} {line.cpu_share:.0%} of a core,"
            f" {line.delivered:.1%} delivered, p50 {line.p50_ms} p99 {line.p99_ms} ms,"
            f" longest gap {line.longest_gap_ms} ms, memory at most {line.rss_growth_mb:+.1f} MiB"
        )
    if options.json:
        keep(__file__, [asdict(line) for line in lines])


if __name__ == "__main__":
    main()
