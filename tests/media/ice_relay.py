"""Two ICE peers with a relay between them, whose side towards the pod can be replaced."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aioice
import aioice.ice
from aioice.candidate import Candidate, candidate_foundation, candidate_priority

from podstream_workloads.media.takeover import HeardProtocol, TakeoverConnection

Address = tuple[str, int]


class _Pipe(asyncio.DatagramProtocol):
    def __init__(self, forward: Any) -> None:
        self._forward = forward

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._forward(data, addr)


async def _open(forward: Any) -> asyncio.DatagramTransport:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: _Pipe(forward), local_addr=("127.0.0.1", 0)
    )
    return transport


@dataclass
class Relay:
    """One address for the client; what stands behind it can be replaced, as replicas are."""

    pod: Address
    client: Address | None = None
    backs: list[asyncio.DatagramTransport] = field(default_factory=list)

    async def start(self) -> Address:
        self.front = await _open(self._from_client)
        await self.replace()
        return self.front.get_extra_info("sockname")  # type: ignore[no-any-return]

    async def replace(self, *, stop_old: bool = True) -> Address:
        """Go on from a new address, as another replica does."""
        if self.backs and stop_old:
            self.backs[-1].close()
        back = await _open(self._from_pod)
        self.backs.append(back)
        return back.get_extra_info("sockname")  # type: ignore[no-any-return]

    def _from_client(self, data: bytes, addr: Address) -> None:
        self.client = addr
        self.backs[-1].sendto(data, self.pod)

    def _from_pod(self, data: bytes, _addr: Address) -> None:
        if self.client is not None:
            self.front.sendto(data, self.client)

    def close(self) -> None:
        for transport in (self.front, *self.backs):
            transport.close()


async def gather(connection: aioice.Connection) -> Address:
    """Give a connection one endpoint on loopback."""
    private: Any = connection
    follows = isinstance(connection, TakeoverConnection)
    make: Any = HeardProtocol if follows else aioice.ice.StunProtocol
    loop = asyncio.get_running_loop()
    _, protocol = await loop.create_datagram_endpoint(
        lambda: make(connection), local_addr=("127.0.0.1", 0)
    )
    host, port = protocol.transport.get_extra_info("sockname")
    protocol.local_candidate = _candidate(host, port)
    private._protocols.append(protocol)
    private._local_candidates.append(protocol.local_candidate)
    private._local_candidates_start = private._local_candidates_end = True
    return host, port


def _candidate(host: str, port: int) -> Candidate:
    return Candidate(
        foundation=candidate_foundation("host", "udp", host),
        component=1,
        transport="udp",
        priority=candidate_priority(1, "host"),
        host=host,
        port=port,
        type="host",
    )


@dataclass
class Pair:
    """A connected pod and client."""

    pod: Any
    client: aioice.Connection
    relay: Relay

    async def reaches_client(self, *, within_s: float) -> bool:
        """Whether something that the pod sends within the time arrives."""
        loop = asyncio.get_running_loop()
        end = loop.time() + within_s
        while loop.time() < end:
            await self.pod.send(b"\xc8from the pod")
            try:
                async with asyncio.timeout(0.02):
                    await self.client.recv()
            except TimeoutError:
                continue
            return True
        return False


@asynccontextmanager
async def connected(pod: aioice.Connection) -> AsyncIterator[Pair]:
    """Connect a pod's side with a stock client that offers, through a relay."""
    client = aioice.Connection(ice_controlling=not pod.ice_controlling)
    relay = Relay(await gather(pod))
    await gather(client)
    host, port = await relay.start()
    pod.remote_username, pod.remote_password = client.local_username, client.local_password
    client.remote_username, client.remote_password = pod.local_username, pod.local_password
    await client.add_remote_candidate(_candidate(host, port))
    await client.add_remote_candidate(None)
    pair = Pair(pod, client, relay)
    try:
        async with asyncio.timeout(5):
            await asyncio.gather(pod.connect(), client.connect())
        assert await pair.reaches_client(within_s=2)
        yield pair
    finally:
        await client.close()
        await pod.close()
        relay.close()
