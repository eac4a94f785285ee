"""Owns what other replicas have announced: whose client is where.

Soft state: a replica that says nothing more is forgotten after `EXPIRY_S`, until then its clients
may turn up here. What a replica knows of third ones it passes on to one that starts, so that a
container which has crashed finds its clients again.

No sockets and no clock: times are passed in, seconds of any monotonic clock.
"""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from podstream_router.peers.messages import FlowEntry, Hearsay, PeerMessage, Source

EXPIRY_S: Final = 30.0
"""After a replica's last word. A client whose packets do not arrive anywhere for so long has lost
its consent (RFC 7675)."""
MAX_REPLICAS: Final = 64
TAKE_AGAIN_S: Final = 1.0
"""The same address is taken over at most so often."""


class Announced(NamedTuple):
    """A flow of another replica."""

    ufrag: str
    replica: str


@dataclass(slots=True)
class _Replica:
    number: int
    heard_at: float
    flows: dict[Source, FlowEntry] = field(default_factory=dict)


class AnnouncedFlows:
    """The flows of all other replicas."""

    def __init__(self, *, max_flows: int) -> None:
        """`max_flows`: of one replica; what it announces beyond is not kept."""
        self._max_flows = max_flows
        self._replicas: dict[str, _Replica] = {}
        self._taken_at: dict[Source, float] = {}

    @property
    def count(self) -> int:
        """Flows that are known."""
        return sum(len(replica.flows) for replica in self._replicas.values())

    def knows(self, replica: str) -> bool:
        """Whether all flows of a replica are known, so that changes can be applied to them."""
        return replica in self._replicas

    def apply(self, message: PeerMessage, *, now: float) -> list[FlowEntry] | None:
        """Take what a replica says.

        Returns:
            The flows that it has not named before; `None` where the message comes too late, or
            changes what is not known here.
        """
        replica = self._replicas.get(message.sender)
        if replica is None:
            if not message.is_all or len(self._replicas) >= MAX_REPLICAS:
                return None
            replica = self._replicas[message.sender] = _Replica(message.number, now)
        elif message.number <= replica.number:
            return None
        replica.number = message.number
        replica.heard_at = now
        before = dict(replica.flows)
        if message.is_all:
            replica.flows.clear()
        for source in message.gone:
            replica.flows.pop(source, None)
        for entry in message.flows:
            if len(replica.flows) >= self._max_flows and entry.source not in replica.flows:
                break
            replica.flows[entry.source] = entry
        for other in message.others:
            if other.replica not in self._replicas and len(self._replicas) < MAX_REPLICAS:
                flows = {entry.source: entry for entry in other.flows[: self._max_flows]}
                self._replicas[other.replica] = _Replica(other.number, now, flows)
        return [entry for entry in message.flows if before.get(entry.source) != entry]

    def hearsay(self, *, but: str) -> list[Hearsay]:
        """What is known of all replicas but one: for a replica that has just started."""
        return [
            Hearsay(name, replica.number, list(replica.flows.values()))
            for name, replica in self._replicas.items()
            if name != but and replica.flows
        ]

    def take(self, source: Source, *, now: float) -> Announced | None:
        """The flow of an address, for the replica that wants to go on with it.

        `None` where nobody has announced it, or it was asked for a moment ago.
        """
        newest: tuple[int, Announced] | None = None
        for name, replica in self._replicas.items():
            entry = replica.flows.get(source)
            if entry is not None and (newest is None or replica.number > newest[0]):
                newest = replica.number, Announced(entry.ufrag, name)
        if newest is None or now - self._taken_at.get(source, float("-inf")) < TAKE_AGAIN_S:
            return None
        self._taken_at[source] = now
        return newest[1]

    def sweep(self, *, now: float) -> None:
        """Forget silent replicas; to be called about once a second."""
        for name, replica in tuple(self._replicas.items()):
            if now - replica.heard_at >= EXPIRY_S:
                del self._replicas[name]
        self._taken_at = {
            source: at for source, at in self._taken_at.items() if now - at < TAKE_AGAIN_S
        }
