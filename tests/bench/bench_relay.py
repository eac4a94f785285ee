"""Media relay: packets per second and core, against plain relays in the same run.

    python tests/bench/bench_relay.py [--seconds 3] [--rounds 2] [--flows 8] [--json]

A sender pushes 1200-byte RTP packets over several flows as fast as it can; a sink stands for the
session pods and answers STUN checks; the relay between them runs in a process of its own, and what
counts is packets passed per second of its CPU time. Three relays take turns: the router's
`MediaRelay` on uvloop, and the shortest possible relay as a `DatagramProtocol` on uvloop and on
asyncio. Only ratios between lines of one run mean anything: the machine is shared.
"""

import argparse
import asyncio
import multiprocessing
import resource
import socket
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from typing import Any, cast

import uvloop
from aioice import stun

from bench.kept import keep
from podstream_core.ports import MEDIA_PORT_FIRST
from podstream_core.ufrag import make_ufrag
from podstream_router.flows import FlowLimits
from podstream_router.relay import MediaRelay

SINK_IP = "127.83.1.1"
SINK = (SINK_IP, MEDIA_PORT_FIRST)
POD_UID = "bench"
RTP = b"\x80\x61" + bytes(1198)
LIMITS = FlowLimits(total=1000, per_source=1000, per_ufrag=1000, per_pod=1000, idle_s=30)


@dataclass
class Count:
    """What the relay process has done so far."""

    packets: int
    cpu_s: float
    at_s: float


def run_sink(ready: Connection, stop: Event) -> None:
    """Take packets and answer checks."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 2**20)
    sock.bind(SINK)
    sock.settimeout(0.2)
    ready.send(True)
    while not stop.is_set():
        try:
            data, source = sock.recvfrom(2048)
        except TimeoutError:
            continue
        if data[:2] == b"\x00\x01":
            answer = stun.Message(
                stun.Method.BINDING, stun.Class.RESPONSE, transaction_id=data[8:20]
            )
            sock.sendto(bytes(answer), source)


def run_sender(port: int, flows: int, ready: Connection, stop: Event) -> None:
    """Open flows with a check each, then send for as long as it takes."""
    socks = []
    for _ in range(flows):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.connect(("127.0.0.1", port))
        sock.settimeout(2)
        check = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        check.attributes["USERNAME"] = f"{make_ufrag(POD_UID, port=MEDIA_PORT_FIRST)}:peer"
        sock.send(bytes(check))
        sock.recv(2048)
        socks.append(sock)
    ready.send(True)
    while not stop.is_set():
        for sock in socks:
            for _ in range(4):  # a video frame comes as a burst
                sock.send(RTP)


class PlainRelay(asyncio.DatagramProtocol):
    """The least that a relay can do with asyncio's own means."""

    def __init__(self) -> None:
        self.packets = 0
        self._flows: dict[Any, asyncio.DatagramTransport | None] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        back = self._flows.get(addr)
        if back is not None:
            back.sendto(data)
            self.packets += 1
        elif addr not in self._flows:
            self._flows[addr] = None
            self._tasks.append(asyncio.ensure_future(self._open(data, addr)))

    async def _open(self, data: bytes, addr: Any) -> None:
        front = cast("asyncio.DatagramTransport", self.transport)

        class Back(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, _addr: Any) -> None:
                front.sendto(data, addr)

        loop = asyncio.get_running_loop()
        back, _ = await loop.create_datagram_endpoint(Back, remote_addr=SINK)
        self._flows[addr] = back
        back.sendto(data)


async def serve_plain() -> tuple[int, Callable[[], int]]:
    """Open a plain relay; its port and its counter."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 2**20)
    sock.bind(("127.0.0.1", 0))
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    _, relay = await loop.create_datagram_endpoint(PlainRelay, sock=sock)
    port: int = sock.getsockname()[1]
    return port, lambda: relay.packets


async def serve_router() -> tuple[int, Callable[[], int]]:
    """Open the router's relay; its port and its counter."""
    relay = MediaRelay(find_pod=lambda _digest: (POD_UID, SINK_IP), limits=LIMITS)
    relay.open("127.0.0.1", 0)
    return relay.port, lambda: relay.packets_to_pods


RELAYS = {
    "router": (uvloop.new_event_loop, serve_router),
    "uvloop protocol": (uvloop.new_event_loop, serve_plain),
    "asyncio protocol": (asyncio.new_event_loop, serve_plain),
}


def run_relay(
    kind: str,
    ready: Connection,
    stop: Event,
    packets: "Synchronized[int]",
    cpu: "Synchronized[float]",
) -> None:
    """Run one relay and publish its figures ten times a second."""
    new_loop, serve = RELAYS[kind]

    async def main() -> None:
        port, count = await serve()
        ready.send(port)
        while not stop.is_set():
            await asyncio.sleep(0.1)
            usage = resource.getrusage(resource.RUSAGE_SELF)
            cpu.value = usage.ru_utime + usage.ru_stime
            packets.value = count()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main())


def receive(pipe: Connection) -> Any:
    """What a process says once it is ready.

    Raises:
        TimeoutError: it says nothing; its own output tells why.
    """
    if not pipe.poll(20):
        raise TimeoutError("a process of the benchmark did not start")
    return pipe.recv()


def measure(kind: str, *, seconds: float, flows: int) -> tuple[float, float]:
    """Packets per second of CPU time, and CPU share of one core."""
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    packets, cpu = context.Value("q", 0), context.Value("d", 0.0)
    here, there = context.Pipe()
    sink = context.Process(target=run_sink, args=(there, stop), daemon=True)
    relay = context.Process(target=run_relay, args=(kind, there, stop, packets, cpu), daemon=True)
    processes = [sink, relay]
    try:
        sink.start()
        receive(here)
        relay.start()
        port = receive(here)
        sender = context.Process(target=run_sender, args=(port, flows, there, stop), daemon=True)
        processes.append(sender)
        sender.start()
        receive(here)
        time.sleep(0.5)
        before = Count(packets.value, cpu.value, time.monotonic())
        time.sleep(seconds)
        after = Count(packets.value, cpu.value, time.monotonic())
    finally:
        stop.set()
        for process in processes:
            process.join(5)
    used_s = after.cpu_s - before.cpu_s
    share = used_s / (after.at_s - before.at_s)
    return (after.packets - before.packets) / used_s, share


@dataclass
class Line:
    """Result of one relay: the best of its rounds."""

    relay: str
    packets_per_core_second: int
    cpu_us_per_packet: float
    cpu_share: float
    ratio: float
    """To the asyncio relay of the same run."""


def main() -> None:
    parser = argparse.ArgumentParser(description="packets per second and core of the media relay")
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--flows", type=int, default=8)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    best: dict[str, tuple[float, float]] = {}
    for _ in range(options.rounds):
        for kind in RELAYS:
            result = measure(kind, seconds=options.seconds, flows=options.flows)
            best[kind] = max(best.get(kind, (0.0, 0.0)), result)
    base = best["asyncio protocol"][0]
    lines = [
        Line(kind, round(rate), round(1e6 / rate, 2), round(share, 2), round(rate / base, 2))
        for kind, (rate, share) in best.items()
    ]
    for line in lines:
        print(
            f"{line.relay:<18}{line.packets_per_core_second:>9} packets/s/core"
            f"{line.cpu_us_per_packet:>7.2f} us/packet  at {line.cpu_share:.0%} of a core"
            f"  {line.ratio:.2f}x"
        )
    if options.json:
        keep(__file__, [asdict(line) for line in lines])


if __name__ == "__main__":
    main()
