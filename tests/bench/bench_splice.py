"""TCP joint of the router: bulk bytes per second of CPU, against HAProxy in the same run.

    python tests/bench/bench_splice.py [--seconds 2] [--rounds 2] [--pairs 2] [--json]

A sender pushes bytes over a few connections, a sink takes them, and the proxy between them is a
process of its own: the router's `join` on uvloop, a plain user-space copy on uvloop, and HAProxy
(`mode tcp`, one thread; Debian's package `haproxy`), as it comes and with `option splice-auto`.
`direct` has no proxy. Two more lines compare TLS: the router's stage before the same joint, and
HAProxy with the same certificate. What counts is bytes per second of the proxy's CPU time, with the
throughput beside it. Only ratios between lines of one run mean anything; the target is 1.5 times
HAProxy, whichever of its two lines is the better one.
"""

import argparse
import asyncio
import multiprocessing
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import psutil
import uvloop

from bench.kept import keep
from podstream_core.splice import Broken, join
from podstream_router.tls import Certificate, plain_side
from router.certificates import self_signed

HOST = "127.0.0.1"
CHUNK = bytes(1 << 20)
SINK_PORT, PROXY_PORT = 19501, 19502
TARGET = 1.5
HAPROXY, HAPROXY_SPLICE = "haproxy", "haproxy, splice-auto"
ROUTER = "router join"


@dataclass(frozen=True)
class Figure:
    """One proxy in one round."""

    proxy: str
    gib_per_cpu_s: float
    """0 where there is no proxy."""
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


def run_join(folder: Path | None = None) -> None:
    """The router's joint; behind its TLS where a folder with a certificate is given."""
    certificate = Certificate(folder) if folder is not None else None

    async def serve(client: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with client, socket.socket() as target:
            target.setblocking(False)
            await loop.sock_connect(target, (HOST, SINK_PORT))
            try:
                if certificate is None:
                    await join(client, target)
                else:
                    async with plain_side(client, certificate.context()) as plain:
                        await join(plain, target)
            except (Broken, OSError):
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
def haproxy(*, splice: bool = False, folder: Path | None = None) -> Iterator[int]:
    """HAProxy with one thread; the id of its worker."""
    option = "  option splice-auto\n" if splice else ""
    tls = f" ssl crt {folder / 'both.pem'} alpn h2" if folder is not None else ""
    config = (
        "global\n  nbthread 1\n  maxconn 100\n"
        "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1m\n  timeout server 1m\n"
        f"{option}listen bench\n  bind {HOST}:{PROXY_PORT}{tls}\n"
        f"  server sink {HOST}:{SINK_PORT}\n"
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


def connect(port: int, *, tls: bool) -> socket.socket:
    """A connection to the proxy or the sink, as soon as it listens."""
    deadline = time.monotonic() + 60
    while True:
        try:
            sock = socket.create_connection((HOST, port), timeout=10)
            return _secure(sock) if tls else sock
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _secure(sock: socket.socket) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    return context.wrap_socket(sock)


def measure(name: str, pid: int | None, *, seconds: float, pairs: int) -> Figure:
    """Push bytes for a while; without a proxy straight to the sink."""
    port = SINK_PORT if pid is None else PROXY_PORT
    socks = [connect(port, tls="TLS" in name) for _ in range(pairs)]
    for sock in socks:
        sock.sendall(CHUNK)  # warm
    cpu_before = cpu_of(pid)
    begun, sent = time.monotonic(), 0
    while time.monotonic() - begun < seconds:
        for sock in socks:
            sock.sendall(CHUNK)
            sent += len(CHUNK)
    elapsed = time.monotonic() - begun
    cpu_s = cpu_of(pid) - cpu_before
    for sock in socks:
        sock.close()
    gib = sent / (1 << 30)
    return Figure(name, gib / max(cpu_s, 0.01) if pid is not None else 0.0, gib / elapsed)


def cpu_of(pid: int | None) -> float:
    """CPU seconds of a process so far."""
    if pid is None:
        return 0.0
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def write_certificate(folder: Path) -> None:
    """As the router and as HAProxy wants it."""
    certificate, key = self_signed()
    (folder / "tls.crt").write_bytes(certificate)
    (folder / "tls.key").write_bytes(key)
    (folder / "both.pem").write_bytes(certificate + key)


def main() -> int:
    """Run all proxies in turn and print the best round of each, with ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="per proxy and round")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=2, help="connections at a time")
    parser.add_argument("--json", action="store_true", help="keep the figures as well")
    options = parser.parse_args()
    if shutil.which("haproxy") is None:
        print("the baseline is missing: apt-get install haproxy", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_certificate(folder)
        best = run_all(options, folder)
    if options.json:
        keep(__file__, {name: asdict(figure) for name, figure in best.items()})
    base = best[HAPROXY]
    print(f"{'proxy':<22}{'GiB/CPU s':>10}{'GiB/s':>8}{'ratio':>8}   (haproxy = 1.00)")
    for figure in best.values():
        ratio = figure.gib_per_cpu_s / base.gib_per_cpu_s
        numbers = f"{figure.gib_per_cpu_s:>10.2f}{figure.gib_per_s:>8.2f}{ratio:>8.2f}"
        print(f"{figure.proxy:<22}" + (numbers if ratio else f"{'-':>10}{figure.gib_per_s:>8.2f}"))
    better = max(best[HAPROXY].gib_per_cpu_s, best[HAPROXY_SPLICE].gib_per_cpu_s)
    reached = best[ROUTER].gib_per_cpu_s / better
    verdict = "kept" if reached >= TARGET else "MISSED"
    print(f"target: router >= {TARGET:g} x HAProxy by CPU: {verdict} ({reached:.2f})")
    share = best[ROUTER].gib_per_s / best["direct"].gib_per_s
    print(f"throughput of the router's joint, of direct: {share:.2f}")
    return 0


def run_all(options: argparse.Namespace, folder: Path) -> dict[str, Figure]:
    """The best round of each proxy."""
    proxies: dict[str, Callable[[], AbstractContextManager[int]]] = {
        ROUTER: lambda: process(run_join),
        "user-space copy": lambda: process(run_copy),
        HAPROXY: haproxy,
        HAPROXY_SPLICE: lambda: haproxy(splice=True),
        "router, TLS": lambda: process(partial(run_join, folder)),
        "haproxy, TLS": lambda: haproxy(folder=folder),
    }
    best: dict[str, Figure] = {}

    def keep(figure: Figure) -> None:
        known = best.get(figure.proxy)
        if known is None or (figure.gib_per_cpu_s, figure.gib_per_s) > (
            known.gib_per_cpu_s,
            known.gib_per_s,
        ):
            best[figure.proxy] = figure

    with process(run_sink):
        for _ in range(options.rounds):
            keep(measure("direct", None, seconds=options.seconds, pairs=options.pairs))
            for name, start in proxies.items():
                with start() as pid:
                    keep(measure(name, pid, seconds=options.seconds, pairs=options.pairs))
    return best


if __name__ == "__main__":
    sys.exit(main())
