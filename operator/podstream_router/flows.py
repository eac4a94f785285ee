"""Owns the table of media flows: which 5-tuple may pass, since when, and which must go.

A flow is *tentative* until the pod has answered one of its STUN checks with success: only then is
it sure that the source address is real and knows the ICE password. Tentative flows are bounded per
source, per ICE fragment, per pod and in total. At a bound the oldest tentative flow makes room, so
a flood of forged first packets cannot lock out a client, who needs one round trip to confirm.

No sockets and no clock: times are passed in, in seconds of any monotonic clock.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, Protocol

Address = tuple[str, int] | tuple[str, int, int, int]
"""A peer as `socket.recvfrom` gives it."""
CloseReason = Literal[
    "idle", "unconfirmed", "superseded", "evicted", "refused", "pod_gone", "shutdown"
]

TENTATIVE_S: Final = 10.0
"""Lifetime of a flow that is not confirmed; aioice and browsers repeat a check within 0.5 s."""
SUPERSEDED_IDLE_S: Final = 8.0
"""Idle time of a confirmed flow once its client was seen on another address. Not zero: a browser
keeps several confirmed pairs and pings each of them every few seconds."""
CONTESTED_GRACE_S: Final = 0.5
"""What still arrives so soon after another replica took a flow over was on its way."""
CONTESTED_S: Final = 1.5
"""A flow that another replica took over ends when its client was silent here for so long."""
STUN_BUDGET: Final = 32
"""STUN messages that a tentative flow may pass in each direction."""
CONFIRMED_PER_POD: Final = 32
"""Confirmed flows of one pod: a browser has one for each of its network paths. Without a bound one
client that knows its own ICE password could take every place of the router."""
MAX_TRANSACTIONS: Final = 16
"""Transaction ids that are remembered for a tentative flow."""


class Link(Protocol):
    """The connected socket towards the pod."""

    def send(self, data: bytes, /) -> object:
        """Send one datagram without blocking."""

    def close(self) -> None:
        """Give the socket back."""


@dataclass(frozen=True, slots=True)
class FlowLimits:
    """Bounds on flows."""

    total: int
    per_source: int
    per_ufrag: int
    per_pod: int
    idle_s: float


class Flow:
    """One client address on its way to one media port of one pod."""

    __slots__ = (
        "active",
        "closed",
        "confirmed",
        "contested_at",
        "created",
        "from_client",
        "from_pod",
        "idle_limit_s",
        "last_active",
        "link",
        "local",
        "pod_uid",
        "send",
        "source",
        "target",
        "transactions",
        "ufrag",
    )

    def __init__(
        self, source: Address, *, ufrag: str, pod_uid: str, target: tuple[str, int], now: float
    ) -> None:
        self.source = source
        self.ufrag = ufrag
        self.pod_uid = pod_uid
        self.target = target
        self.created = self.last_active = now
        self.confirmed = self.closed = False
        self.active = False
        """Set by every packet of the client, read and cleared by the sweep: cheaper than reading
        the clock for each packet."""
        self.transactions: dict[bytes, None] = {}
        self.from_client = self.from_pod = STUN_BUDGET
        self.idle_limit_s = float("inf")
        self.contested_at: float | None = None
        """When another replica took the flow over; `None` while it is this one's alone."""
        self.local: tuple[str, int] | None = None
        """This replica's address towards the pod, once there is a socket."""
        self.link: Link | None = None
        self.send: Callable[[bytes], object] = _no_link

    def attach(self, link: Link) -> None:
        """Give the flow its socket."""
        self.link = link
        self.send = link.send

    def remember(self, transaction: bytes) -> None:
        """Keep the id of a check that the pod may answer; the oldest goes first."""
        self.transactions[transaction] = None
        if len(self.transactions) > MAX_TRANSACTIONS:
            del self.transactions[next(iter(self.transactions))]


def _no_link(_data: bytes) -> object:
    raise OSError("the flow has no socket")


class FlowTable:
    """All flows of one UDP port."""

    def __init__(
        self, limits: FlowLimits, *, on_close: Callable[[Flow, CloseReason], None] | None = None
    ) -> None:
        self._limits = limits
        self._on_close = on_close or (lambda _flow, _reason: None)
        self.on_return: Callable[[Flow], None] = lambda _flow: None
        """Told of a contested flow whose client is still heard here."""
        self.confirmed: dict[Address, Flow] = {}
        """Read by the relay for every packet."""
        self.tentative: dict[Address, Flow] = {}
        """In the order of creation."""
        self._tentative_by: dict[tuple[str, str], dict[Address, Flow]] = {}
        self._by_pod: dict[str, set[Flow]] = {}

    def __len__(self) -> int:
        return len(self.confirmed) + len(self.tentative)

    def admit(
        self, source: Address, *, ufrag: str, pod_uid: str, target: tuple[str, int], now: float
    ) -> Flow | None:
        """Open a tentative flow; `None` when every place is held by confirmed flows.

        A tentative flow of the same address is replaced; a confirmed one stays until the new one
        is confirmed.
        """
        old = self.tentative.get(source)
        if old is not None:
            self.close(old, "superseded")
        flow = Flow(source, ufrag=ufrag, pod_uid=pod_uid, target=target, now=now)
        for group, limit in self._groups(flow):
            members = self._tentative_by.get(group, {})
            if len(members) >= limit:
                self.close(next(iter(members.values())), "evicted")
        if len(self) >= self._limits.total:
            if not self.tentative:
                return None
            self.close(next(iter(self.tentative.values())), "evicted")
        self.tentative[source] = flow
        for group, _ in self._groups(flow):
            self._tentative_by.setdefault(group, {})[source] = flow
        self._by_pod.setdefault(pod_uid, set()).add(flow)
        return flow

    def confirm(self, flow: Flow, *, now: float) -> None:
        """The pod has accepted this address."""
        if flow.confirmed or flow.closed:
            return
        self._leave_tentative(flow)
        old = self.confirmed.get(flow.source)
        if old is not None:
            self.close(old, "superseded")
        siblings = [item for item in self._by_pod[flow.pod_uid] if item.confirmed]
        if len(siblings) >= CONFIRMED_PER_POD:
            self.close(min(siblings, key=lambda item: item.last_active), "evicted")
        for sibling in siblings:
            if sibling.ufrag == flow.ufrag:
                sibling.idle_limit_s = SUPERSEDED_IDLE_S
        flow.confirmed = True
        flow.last_active = now
        flow.idle_limit_s = self._limits.idle_s
        flow.transactions.clear()
        self.confirmed[flow.source] = flow

    @staticmethod
    def contest(flow: Flow, *, now: float) -> None:
        """Another replica has taken this flow over."""
        flow.contested_at = now
        flow.active = False

    def _settle(self, flow: Flow, contested_at: float, now: float) -> None:
        """Decide who a contested flow belongs to: where its client is heard."""
        if now - contested_at < CONTESTED_GRACE_S:
            flow.active = False
        elif flow.active:
            flow.contested_at = None
            self.on_return(flow)
        elif now - contested_at >= CONTESTED_S:
            self.close(flow, "superseded")

    def close(self, flow: Flow, reason: CloseReason) -> None:
        """Forget a flow and give its socket back; doing it twice changes nothing."""
        if flow.closed:
            return
        flow.closed = True
        if self.confirmed.get(flow.source) is flow:
            del self.confirmed[flow.source]
        self._leave_tentative(flow)
        siblings = self._by_pod[flow.pod_uid]
        siblings.discard(flow)
        if not siblings:
            del self._by_pod[flow.pod_uid]
        if flow.link is not None:
            flow.link.close()
        self._on_close(flow, reason)

    def close_pod(self, pod_uid: str) -> None:
        """Close all flows of a pod that is gone."""
        for flow in tuple(self._by_pod.get(pod_uid, ())):
            self.close(flow, "pod_gone")

    def close_all(self) -> None:
        """Close everything."""
        for flow in (*self.confirmed.values(), *self.tentative.values()):
            self.close(flow, "shutdown")

    def sweep(self, now: float) -> None:
        """Close what is idle or was never confirmed; to be called about once a second."""
        for flow in tuple(self.tentative.values()):
            if now - flow.created < TENTATIVE_S:
                break
            self.close(flow, "unconfirmed")
        for flow in tuple(self.confirmed.values()):
            if flow.contested_at is not None:
                self._settle(flow, flow.contested_at, now)
            elif flow.active:
                flow.active = False
                flow.last_active = now
            elif now - flow.last_active >= flow.idle_limit_s:
                self.close(flow, "idle")

    def _groups(self, flow: Flow) -> tuple[tuple[tuple[str, str], int], ...]:
        return (
            (("source", flow.source[0]), self._limits.per_source),
            (("ufrag", flow.ufrag), self._limits.per_ufrag),
            (("pod", flow.pod_uid), self._limits.per_pod),
        )

    def _leave_tentative(self, flow: Flow) -> None:
        if self.tentative.get(flow.source) is not flow:
            return
        del self.tentative[flow.source]
        for group, _ in self._groups(flow):
            members = self._tentative_by[group]
            members.pop(flow.source, None)
            if not members:
                del self._tentative_by[group]
