"""One replica that knows another's flows: what it does with packets, and what it says."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from podstream_core.tokens import SigningKey
from podstream_core.ufrag import pod_digest
from podstream_router.flows import CONTESTED_S, Flow, FlowLimits
from podstream_router.peers import Moved, Seal, Sharing
from podstream_router.peers.messages import FlowEntry, PeerMessage
from podstream_router.peers.table import TAKE_AGAIN_S
from podstream_router.relay import MediaRelay
from router.harness import until
from router.stun_messages import binding_request, binding_success
from router.test_relay import DTLS, RTP, Client, Clock, Pod

LIMITS = FlowLimits(total=64, per_source=16, per_ufrag=4, per_pod=8, idle_s=30)


@dataclass
class World:
    """A relay that shares, one pod, and a peer that only speaks."""

    sharing: Sharing
    pod: Pod
    clock: Clock
    host: str
    moves: list[Flow] = field(default_factory=list)
    answer: Moved = Moved.MOVED
    clients: list[Client] = field(default_factory=list)
    relay: MediaRelay = field(init=False)
    numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    async def move(self, flow: Flow) -> Moved:
        self.moves.append(flow)
        return self.answer

    def client(self) -> Client:
        client = Client(self.relay.port, ip=self.host)
        self.clients.append(client)
        return client

    def peer_says(
        self, client: Client, *, ufrag: str | None = None, taken_from: str = "", gone: bool = False
    ) -> None:
        entry = FlowEntry(*client.address, ufrag or self.pod.ufrag(), taken_from)
        message = PeerMessage(
            sender="peer",
            number=next(self.numbers),
            admin_port=1,
            flows=[] if gone else [entry],
            is_all=True,
        )
        self.sharing.group._on_message(message)

    @property
    def own(self) -> dict[tuple[str, int], FlowEntry]:
        return self.sharing._own.flows

    def after(self, seconds: float) -> None:
        self.clock.now += seconds
        self.relay.sweep()


@pytest.fixture
async def world(http: aiohttp.ClientSession) -> AsyncIterator[World]:
    clock, pod = Clock(), Pod("pod")
    pod.open()
    made: World

    async def move(flow: Flow) -> Moved:
        return await made.move(flow)

    sharing = Sharing(
        (),
        http=http,
        seal=Seal([SigningKey.generate()]),
        move=move,
        max_flows=100,
        clock=lambda: clock.now,
    )
    made = World(sharing, pod, clock, "127.0.0.1")
    digest = pod_digest(pod.uid)
    made.relay = MediaRelay(
        find_pod=lambda wanted: (pod.uid, pod.ip) if wanted == digest else None,
        limits=LIMITS,
        clock=lambda: clock.now,
        sharing=sharing,
    )
    sharing.attach(made.relay.flows)
    made.relay.open("127.0.0.1", 0)
    running = asyncio.create_task(sharing.run(admin_port=1))
    yield made
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    made.relay.close()
    pod.close()
    for client in made.clients:
        client.sock.close()


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(RTP, id="rtp"),
        pytest.param(DTLS, id="dtls"),
        pytest.param(binding_success(binding_request("x")), id="answer-to-a-check"),
    ],
)
async def test_first_packet_of_a_known_client_passes_and_its_pod_is_told(
    world: World, data: bytes
) -> None:
    client = world.client()
    world.peer_says(client)
    client.send(data)
    await until(lambda: world.pod.got(data))
    await until(lambda: len(world.moves) == 1)
    (flow,) = world.moves
    _, seen_from = world.pod.received[0]
    assert flow.local == seen_from, "the pod is told the address that it hears"
    assert flow.confirmed
    # And back: the pod needs no further proof.
    world.pod.sock.sendto(RTP, seen_from)
    assert await client.receive() == RTP


async def test_unknown_client_and_junk_of_a_known_one_are_dropped(world: World) -> None:
    stranger, client = world.client(), world.client()
    world.peer_says(client)
    stranger.send(RTP)
    client.send(b"\x50 neither media nor STUN")
    client.send(b"\x00\x01 no STUN")
    await until(lambda: sum(world.relay.dropped.values()) == 3)
    assert world.relay.dropped == {"no_flow": 2, "malformed": 1}
    assert not world.moves
    assert len(world.relay.flows) == 0


async def test_flow_of_a_pod_that_is_not_here_opens_nothing(world: World) -> None:
    client = world.client()
    world.peer_says(client, ufrag=Pod("other").ufrag())
    client.send(RTP)
    await until(lambda: world.relay.dropped["unknown_ufrag"] == 1)
    assert len(world.relay.flows) == 0


async def test_flow_that_the_pod_does_not_want_ends_and_is_not_tried_at_once(world: World) -> None:
    world.answer = Moved.REFUSED
    client = world.client()
    world.peer_says(client)
    client.send(RTP)
    await until(lambda: world.relay.ended["refused"] == 1)
    client.send(RTP)
    await until(lambda: world.relay.dropped["no_flow"] == 1)
    world.clock.now += TAKE_AGAIN_S
    client.send(RTP)
    await until(lambda: world.relay.ended["refused"] == 2)
    assert len(world.moves) == 2


async def test_pod_that_does_not_answer_is_asked_again_and_the_flow_stays(world: World) -> None:
    world.answer = Moved.UNREACHABLE
    client = world.client()
    world.peer_says(client)
    client.send(RTP)
    await until(lambda: len(world.moves) == 2)
    world.answer = Moved.MOVED
    await until(lambda: len(world.moves) == 3)
    await until(lambda: figure(world, "takeovers_total", result="moved") == 1)
    assert len(world.relay.flows.confirmed) == 1


async def test_peers_hear_of_flows_that_begin_and_end_but_not_of_the_replicas_own_end(
    world: World,
) -> None:
    client = world.client()
    client.send(binding_request(ufrag := world.pod.ufrag()))
    await client.receive()
    assert world.own == {client.address: FlowEntry(*client.address, ufrag, "")}
    other = world.client()
    world.peer_says(other)
    other.send(RTP)
    await until(lambda: len(world.own) == 2)
    assert world.own[other.address].taken_from == "peer"
    world.after(29)
    client.send(DTLS)
    await until(lambda: world.pod.got(DTLS))
    world.after(1)
    world.after(29.5)
    assert list(world.own) == [client.address]
    world.relay.close()
    assert list(world.own) == [client.address], "its client is to be found by the others"


async def test_flow_that_a_peer_took_over_ends_here_once_its_client_is_silent(
    world: World,
) -> None:
    client = world.client()
    client.send(binding_request(world.pod.ufrag()))
    await client.receive()
    world.peer_says(client, taken_from=world.sharing._own.name)
    world.after(CONTESTED_S)
    assert world.relay.ended == {"superseded": 1}
    assert world.relay.idle.is_set()


async def test_flow_of_a_client_that_is_still_heard_is_taken_back(world: World) -> None:
    client = world.client()
    client.send(binding_request(world.pod.ufrag()))
    await client.receive()
    world.peer_says(client, taken_from=world.sharing._own.name)
    world.after(0.6)
    client.send(RTP)
    await until(lambda: world.pod.got(RTP))
    world.after(0.6)
    await until(lambda: len(world.moves) == 1)
    assert world.own[client.address].taken_from == "peer"
    world.after(CONTESTED_S)
    assert not world.relay.ended


async def test_claim_on_another_replicas_flow_changes_nothing_here(world: World) -> None:
    client = world.client()
    client.send(binding_request(world.pod.ufrag()))
    await client.receive()
    world.peer_says(client, taken_from="third")
    world.after(CONTESTED_S)
    assert not world.relay.ended


async def test_figures(world: World) -> None:
    client = world.client()
    world.peer_says(client)
    assert figure(world, "peer_flows") == 1
    assert figure(world, "peer_messages_total", result="applied") == 1
    world.peer_says(client, gone=True)
    assert figure(world, "peer_flows") == 0
    assert figure(world, "peers") == 0


def figure(world: World, name: str, **labels: str) -> float:
    registry = CollectorRegistry()
    registry.register(world.sharing.collector())
    return registry.get_sample_value(f"podstream_router_{name}", labels) or 0.0
