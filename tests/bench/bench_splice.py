"""TCP joint of the router: bulk bytes per second of CPU, against HAProxy in the same run.

    python tests/bench/bench_splice.py [--seconds 3] [--rounds 2] [--pairs 2] [--json]

A sender pushes bytes over a few connections, a sink takes them, and the proxy between them is a
process of its own: the router's `join` on uvloop, a plain user-space copy on uvloop, and HAProxy
(`mode tcp`, one thread; Debian's package `haproxy`). What counts is bytes per second of the proxy's
CPU time, and the throughput beside it. Only ratios between lines of one run mean anything.
"""

import argparse
import asyncio
import json
import multiprocessing
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import psutil
import uvloop

from podstream_core.splice import Broken, join

HOST = "127.0.0.1"
CHUNK = bytes(1 << 20)
SINK_PORT, PROXY_PORT = 19501, 19502


@dataclass(frozen=True)
class Figure:
    """One proxy in one round."""

    proxy: str
    gib_per_cpu_s: float
    gib_per_s: float


def run_sink() -> None:
    """Take bytes of any number of connections."""

    async def main() -> None:
        buffer = bytearray(1 << 20)
        loop = asyncio.get_running_loop()

        async def drain(sock: socket.socket) -> None:
            while await loop.sock_recv_into(sock, buffer):
                pass
            sock.close()

        tasks = set()
        with socket.create_server((HOST, SINK_PORT)) as server:
            server.setblocking(False)
            while True:
                sock, _ = await loop.sock_accept(server)
                task = asyncio.create_task(drain(sock))
                tasks.add(task)
                task.add_done_callback(tasks.discard)

    uvloop.run(main())


def run_join() -> None:
    """The router's joint."""

    async def serve(client: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with client, socket.socket() as target:
            target.setblocking(False)
            await loop.sock_connect(target, (HOST, SINK_PORT))
            try:
                await join(client, target)
            except Broken:
                return

    async def main() -> None:
        loop, tasks = asyncio.get_running_loop(), set()
        with socket.create_server((HOST, PROXY_PORT)) as server:
            server.setblocking(False)
            while True:
                client, _ = await loop.sock_accept(server)
                client.setblocking(False)
                task = asyncio.create_task(serve(client))
                tasks.add(task)
                task.add_done_callback(tasks.discard)

    uvloop.run(main())


def run_copy() -> None:
    """The shortest user-space proxy."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, target = await asyncio.open_connection(HOST, SINK_PORT)
        while data := await reader.read(1 << 18):
            target.write(data)
            await target.drain()
        target.close()
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(serve, HOST, PROXY_PORT, limit=1 << 18)
        await server.serve_forever()

    uvloop.run(main())


@contextmanager
def process(target: "object") -> Iterator[int]:
    """A function in a process of its own; its id."""
    made = multiprocessing.get_context("fork").Process(target=target, daemon=True)  # type: ignore[arg-type]
    made.start()
    assert made.pid is not None
    try:
        yield made.pid
    finally:
        made.terminate()
        made.join()


@contextmanager
def haproxy() -> Iterator[int]:
    """HAProxy with one thread; the id of its worker."""
    config = (
        "global\n  nbthread 1\n  maxconn 100\n"
        "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1m\n  timeout server 1m\n"
        f"listen bench\n  bind {HOST}:{PROXY_PORT}\n  server sink {HOST}:{SINK_PORT}\n"
    )
    with tempfile.NamedTemporaryFile("w", suffix=".cfg") as file:
        file.write(config)
        file.flush()
        command = [str(shutil.which("haproxy")), "-db", "-f", file.name]
        made = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            yield made.pid
        finally:
            made.terminate()
            made.wait()


def connect() -> socket.socket:
    """A connection to the proxy, as soon as it listens."""
    deadline = time.monotonic() + 10
    while True:
        try:
            return socket.create_connection((HOST, PROXY_PORT), timeout=10)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def measure(name: str, pid: int, *, seconds: float, pairs: int) -> Figure:
    """Push bytes for a while."""
    socks = [connect() for _ in range(pairs)]
    for sock in socks:
        sock.sendall(CHUNK)  # warm
    cpu = psutil.Process(pid).cpu_times()
    begun, sent = time.monotonic(), 0
    while time.monotonic() - begun < seconds:
        for sock in socks:
            sock.sendall(CHUNK)
            sent += len(CHUNK)
    elapsed = time.monotonic() - begun
    after = psutil.Process(pid).cpu_times()
    for sock in socks:
        sock.close()
    cpu_s = after.user + after.system - cpu.user - cpu.system
    gib = sent / (1 << 30)
    return Figure(name, gib / max(cpu_s, 0.01), gib / elapsed)


def main() -> int:
    """Run all proxies in turn and print the best round of each, with ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="per proxy and round")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=2, help="connections at a time")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if shutil.which("haproxy") is None:
        print("the baseline is missing: apt-get install haproxy", file=sys.stderr)
        return 1
    proxies = {
        "router join": lambda: process(run_join),
        "user-space copy": lambda: process(run_copy),
        "haproxy": haproxy,
    }
    best: dict[str, Figure] = {}
    with process(run_sink):
        for _ in range(options.rounds):
            for name, start in proxies.items():
                with start() as pid:
                    figure = measure(name, pid, seconds=options.seconds, pairs=options.pairs)
                known = best.get(name)
                if known is None or figure.gib_per_cpu_s > known.gib_per_cpu_s:
                    best[name] = figure
    base = best["haproxy"]
    if options.json:
        print(json.dumps([asdict(figure) for figure in best.values()]))
        return 0
    print(f"{'proxy':<18}{'GiB/CPU s':>10}{'GiB/s':>8}{'ratio':>8}   (haproxy = 1.00)")
    for figure in best.values():
        ratio = figure.gib_per_cpu_s / base.gib_per_cpu_s
        print(
            f"{figure.proxy:<18}{figure.gib_per_cpu_s:>10.2f}{figure.gib_per_s:>8.2f}{ratio:>8.2f}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
