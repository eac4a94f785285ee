import asyncio
import random
import socket
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from podstream_core.ufrag import make_ufrag, parse_ufrag, pod_digest
from podstream_router.flows import SUPERSEDED_IDLE_S, TENTATIVE_S, FlowLimits
from podstream_router.relay import MediaRelay
from router.harness import loopback_ip, until
from router.stun_messages import binding_error, binding_request, binding_success, indication

RTP = b"\x80" + bytes(99)
DTLS = b"\x16" + bytes(99)
PORT = 20005
LIMITS = FlowLimits(total=64, per_source=16, per_ufrag=4, per_pod=8, idle_s=30)


@dataclass
class Pod:
    """A media port that keeps what arrives and answers checks when told to."""

    uid: str
    ip: str = field(default_factory=loopback_ip)
    answers: bool = True
    received: list[tuple[bytes, tuple[str, int]]] = field(default_factory=list)

    def open(self) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setblocking(False)
        self.sock.bind((self.ip, PORT))
        asyncio.get_running_loop().add_reader(self.sock.fileno(), self._read)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self.sock.fileno())
        self.sock.close()

    def _read(self) -> None:
        data, source = self.sock.recvfrom(2048)
        self.received.append((data, source))
        if self.answers and data[:2] == b"\x00\x01":
            self.sock.sendto(binding_success(data), source)

    def ufrag(self) -> str:
        return make_ufrag(self.uid, port=PORT)

    def got(self, data: bytes) -> bool:
        return any(item == data for item, _ in self.received)


class Client:
    """A client's UDP socket."""

    def __init__(self, port: int, *, ip: str = "127.0.0.1") -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setblocking(False)
        self.sock.bind((ip, 0))
        self.sock.connect(("127.0.0.1", port))

    def send(self, data: bytes) -> None:
        self.sock.send(data)

    async def receive(self) -> bytes:
        async with asyncio.timeout(2):
            return await asyncio.get_running_loop().sock_recv(self.sock, 2048)

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.sock.getsockname()
        return host, port


@dataclass
class Clock:
    """Seconds that only a test moves."""

    now: float = 1000.0


@dataclass
class World:
    """A relay with pods, whose clock a test moves."""

    relay: MediaRelay
    pods: dict[str, Pod]
    changes: list[str]
    clock: Clock
    clients: list[Client] = field(default_factory=list)

    def client(self, *, ip: str = "127.0.0.1") -> Client:
        client = Client(self.relay.port, ip=ip)
        self.clients.append(client)
        return client

    def pod(self, uid: str, *, answers: bool = True) -> Pod:
        pod = Pod(uid, answers=answers)
        pod.open()
        self.pods[pod_digest(uid)] = pod
        return pod

    async def connected(self, pod: Pod, *, ufrag: str | None = None) -> Client:
        client = self.client()
        client.send(binding_request(ufrag or pod.ufrag()))
        assert (await client.receive())[:2] == b"\x01\x01"
        return client

    async def dropped(self, reason: str, count: int = 1) -> None:
        await until(lambda: self.relay.dropped[reason] == count)

    def after(self, seconds: float) -> None:
        self.clock.now += seconds
        self.relay.sweep()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    pods: dict[str, Pod] = {}
    changes: list[str] = []

    def find(digest: str) -> tuple[str, str] | None:
        pod = pods.get(digest)
        return (pod.uid, pod.ip) if pod else None

    clock = Clock()
    relay = MediaRelay(
        find_pod=find, limits=LIMITS, clock=lambda: clock.now, on_flow=changes.append
    )
    relay.open("127.0.0.1", 0)
    made = World(relay, pods, changes, clock)
    yield made
    relay.close()
    for pod in pods.values():
        pod.close()
    for client in made.clients:
        client.sock.close()


async def test_check_names_the_pod_and_media_follows_it_both_ways(world: World) -> None:
    pods = [world.pod(f"pod-{number}") for number in range(4)]
    clients = [await world.connected(pod) for pod in pods]
    for number, client in enumerate(clients):
        client.send(RTP + bytes([number]))
        client.send(DTLS + bytes([number]))
    for number, (pod, client) in enumerate(zip(pods, clients, strict=True)):
        await until(lambda pod=pod: len(pod.received) == 3)
        media = [data for data, _ in pod.received[1:]]
        assert media == [RTP + bytes([number]), DTLS + bytes([number])]
        pod.sock.sendto(b"\x80answer" + bytes([number]), pod.received[0][1])
        assert await client.receive() == b"\x80answer" + bytes([number])
    assert len(world.relay.flows.confirmed) == 4
    assert world.changes == [pod.uid for pod in pods]


async def test_port_in_the_fragment_is_the_pods_port(world: World) -> None:
    pod = world.pod("pod")
    place = parse_ufrag(pod.ufrag())
    assert place is not None
    assert place.port == PORT
    await world.connected(pod)
    assert len(pod.received) == 1


async def test_unknown_fragment_opens_no_socket(world: World) -> None:
    client = world.client()
    for ufrag in ("abcd", make_ufrag("no such pod", port=PORT), "", "x" * 23):
        client.send(binding_request(ufrag))
    await world.dropped("unknown_ufrag", 4)
    assert len(world.relay.flows) == 0


async def test_first_packet_must_be_a_check(world: World) -> None:
    world.pod("pod")
    client = world.client()
    for data in (RTP, DTLS, indication(), b"\x40turn", b"\xff"):
        client.send(data)
    await world.dropped("no_flow", 5)
    client.send(b"\x00\x01short")
    client.send(b"")
    await world.dropped("malformed", 2)
    assert len(world.relay.flows) == 0


async def test_nothing_but_stun_passes_before_the_pod_has_answered(world: World) -> None:
    pod = world.pod("pod", answers=False)
    client = world.client()
    request = binding_request(pod.ufrag())
    client.send(request)
    client.send(RTP)
    await world.dropped("unconfirmed")
    await until(lambda: pod.received)
    assert not pod.got(RTP)
    pod.sock.sendto(RTP, pod.received[0][1])
    await world.dropped("unconfirmed", 2)

    pod.sock.sendto(binding_success(request), pod.received[0][1])
    assert (await client.receive())[:2] == b"\x01\x01"
    client.send(RTP)
    await until(lambda: pod.got(RTP))


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lambda _: binding_success(binding_request("x")), id="other-transaction"),
        pytest.param(lambda request: binding_error(request, 487), id="error"),
        pytest.param(lambda _: binding_request("cli1"), id="check-of-the-pod"),
    ],
)
async def test_other_stun_of_the_pod_passes_without_confirming(
    world: World, answer: Callable[[bytes], bytes]
) -> None:
    pod = world.pod("pod", answers=False)
    client = world.client()
    request = binding_request(pod.ufrag())
    client.send(request)
    await until(lambda: pod.received)
    pod.sock.sendto(answer(request), pod.received[0][1])
    await client.receive()
    assert not world.relay.flows.confirmed


async def test_tentative_flow_passes_a_bounded_number_of_messages(world: World) -> None:
    pod = world.pod("pod", answers=False)
    client = world.client()
    ufrag = pod.ufrag()
    for _ in range(100):
        client.send(binding_request(ufrag))
        await asyncio.sleep(0)
    await until(lambda: world.relay.dropped["tentative_budget"] == 68)
    assert len(pod.received) == 32
    for _ in range(100):
        pod.sock.sendto(binding_request("cli1"), pod.received[0][1])
    await until(lambda: world.relay.dropped["tentative_budget"] == 136)


async def test_forged_first_packets_open_no_flow_beyond_the_caps(world: World) -> None:
    pods = [world.pod(f"pod-{number}", answers=False) for number in range(12)]
    for number in range(12):
        client = world.client(ip=f"127.0.1.{number + 1}")
        for pod in pods:
            client.send(binding_request(pod.ufrag()))
            client.send(binding_request(pod.ufrag()))
            await asyncio.sleep(0)
    await until(lambda: world.relay.packets_to_pods >= 288)
    assert len(world.relay.flows) <= LIMITS.total
    assert not world.relay.flows.confirmed
    world.after(TENTATIVE_S)
    assert len(world.relay.flows) == 0


async def test_moved_client_takes_over_and_the_old_address_ends(world: World) -> None:
    pod = world.pod("pod")
    ufrag = pod.ufrag()
    old = await world.connected(pod, ufrag=ufrag)
    pod.answers = False
    moved = world.client()
    request = binding_request(ufrag)
    moved.send(request)
    await until(lambda: pod.got(request))
    old.send(RTP + b"old")
    await until(lambda: pod.got(RTP + b"old"))

    pod.sock.sendto(binding_success(request), pod.received[-2][1])
    await moved.receive()
    moved.send(RTP + b"new")
    await until(lambda: pod.got(RTP + b"new"))
    world.after(0)
    world.after(SUPERSEDED_IDLE_S - 1)
    moved.send(RTP + b"still")
    await until(lambda: pod.got(RTP + b"still"))
    world.after(1)
    assert list(world.relay.flows.confirmed) == [moved.address]


async def test_address_that_connects_anew_reaches_its_new_pod(world: World) -> None:
    first, second = world.pod("first"), world.pod("second")
    client = await world.connected(first)
    client.send(binding_request(second.ufrag()))
    assert (await client.receive())[:2] == b"\x01\x01"
    client.send(RTP)
    await until(lambda: second.got(RTP))
    assert not first.got(RTP)
    assert len(world.relay.flows) == 1


async def test_silent_flow_expires_and_a_used_one_stays(world: World) -> None:
    pod = world.pod("pod")
    used, silent = await world.connected(pod), await world.connected(world.pod("other"))
    for _ in range(3):
        used.send(RTP)
        expected = len(pod.received) + 1
        await until(lambda expected=expected: len(pod.received) == expected)
        world.after(15)
    assert list(world.relay.flows.confirmed) == [used.address]
    assert silent.address not in world.relay.flows.confirmed
    assert world.relay.ended["idle"] == 1


async def test_pod_that_leaves_the_routes_loses_its_flows_and_sockets(world: World) -> None:
    pod = world.pod("pod")
    client = await world.connected(pod)
    flow = world.relay.flows.confirmed[client.address]
    world.relay.flows.close_pod("pod")
    assert len(world.relay.flows) == 0
    with pytest.raises(OSError, match="Bad file descriptor"):
        flow.send(RTP)
    client.send(RTP)
    await world.dropped("no_flow")
    assert world.relay.idle.is_set()


async def test_pod_that_does_not_listen_is_counted_and_harms_nobody(world: World) -> None:
    pod, other = world.pod("pod"), world.pod("other")
    client, neighbour = await world.connected(pod), await world.connected(other)
    pod.close()
    for _ in range(5):
        client.send(RTP)
        await asyncio.sleep(0.005)
    await until(lambda: world.relay.dropped["pod_unreachable"] >= 1)
    neighbour.send(RTP)
    await until(lambda: other.got(RTP))
    pod.open()


async def test_client_that_closes_its_socket_harms_nobody(world: World) -> None:
    pod = world.pod("pod")
    client, neighbour = await world.connected(pod), await world.connected(pod)
    back = pod.received[0][1]
    client.sock.close()
    for _ in range(5):
        pod.sock.sendto(RTP, back)
        await asyncio.sleep(0.005)
    neighbour.send(RTP)
    await until(lambda: pod.got(RTP))


async def test_oversized_datagram_is_dropped(world: World) -> None:
    pod = world.pod("pod")
    client = await world.connected(pod)
    client.send(b"\x80" + bytes(4000))
    await world.dropped("too_large")


async def test_unknown_kinds_do_not_reach_the_pod(world: World) -> None:
    pod = world.pod("pod")
    client = await world.connected(pod)
    for first in (4, 19, 64, 79, 127, 192, 255):
        client.send(bytes([first]) + bytes(20))
    await world.dropped("unknown_kind", 7)
    assert len(pod.received) == 1


@contextmanager
def traced() -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()


async def test_random_packets_keep_memory_flat(world: World) -> None:
    pod = world.pod("pod")
    neighbour = await world.connected(pod)
    rng = random.Random(1)
    clients = [world.client() for _ in range(8)]
    heads = (b"", b"\x00\x01", binding_request(pod.ufrag())[:20], b"\x80", b"\x16")

    async def burst(packets: int) -> None:
        for _ in range(packets):
            data = rng.choice(heads) + rng.randbytes(rng.randrange(0, 80))
            rng.choice(clients).send(data)
            await asyncio.sleep(0)

    with traced():
        await burst(500)
        before = tracemalloc.get_traced_memory()[0]
        await burst(3000)
        grown = tracemalloc.get_traced_memory()[0] - before
    assert grown < 64 * 1024
    assert len(world.relay.flows.confirmed) == 1
    neighbour.send(RTP)
    await until(lambda: pod.got(RTP))


async def test_counters_follow_the_packets(world: World) -> None:
    pod = world.pod("pod")
    client = await world.connected(pod)
    before = world.relay.bytes_to_pods
    client.send(RTP)
    await until(lambda: pod.got(RTP))
    assert world.relay.packets_to_pods == 2
    assert world.relay.bytes_to_pods == before + len(RTP)
    assert world.relay.packets_to_clients == 1
