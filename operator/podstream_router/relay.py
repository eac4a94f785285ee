"""Moves media between one UDP port and the session pods.

The first packet of a 5-tuple must be a STUN Binding Request whose user name names the pod
(`podstream_core.ufrag`); from then on the 5-tuple decides. Every flow has a connected socket of its
own towards the pod, so the pod's answers need no lookup. Who may pass when is decided in `flows`;
this module only classifies packets (RFC 7983) and moves them. It holds no keys and decrypts
nothing.

Sockets are read by `add_reader` in batches: no transport, protocol call or task stands between
`recvfrom` and `send`. Under uvloop that costs about a tenth less per packet than its own
DatagramTransport, checks included (`tests/bench/bench_relay.py`).
"""

import asyncio
import logging
import socket
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

from podstream_core.ufrag import parse_ufrag
from podstream_router import stun
from podstream_router.flows import Address, CloseReason, Flow, FlowLimits, FlowTable

logger = logging.getLogger(__name__)

MAX_DATAGRAM: Final = 2048
"""Bytes; media packets stay below an Ethernet MTU of 1500."""
BATCH: Final = 32
"""Datagrams read from one socket before the loop turns to the others."""
FRONT_BUFFER_BYTES: Final = 4 * 2**20
BACK_BUFFER_BYTES: Final = 2**20
SWEEP_S: Final = 1.0
_SO_RCVBUFFORCE: Final = 33  # Linux; above net.core.rmem_max with CAP_NET_ADMIN

PodLookup = Callable[[str], tuple[str, str] | None]
"""From a pod digest to the pod's UID and IP."""


class FlowSharing(Protocol):
    """What other replicas know of flows, and are told of them."""

    def find(self, source: Address) -> tuple[str, str] | None:
        """ICE fragment of the flow that a replica has announced for this address, and its name."""

    def opened(self, flow: Flow, *, taken_from: str = "") -> None:
        """A flow was confirmed, or taken over from the replica of this name."""

    def closed(self, flow: Flow, reason: CloseReason) -> None:
        """A confirmed flow has ended."""


class _SocketLink:
    """A connected socket whose reader runs until it is closed."""

    __slots__ = ("_loop", "_socket", "send")

    def __init__(self, sock: socket.socket, *, loop: asyncio.AbstractEventLoop) -> None:
        self._socket = sock
        self._loop = loop
        self.send: Callable[[bytes], object] = sock.send

    def close(self) -> None:
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()


class MediaRelay:
    """One UDP port for the media of all sessions."""

    def __init__(
        self,
        *,
        find_pod: PodLookup,
        limits: FlowLimits,
        clock: Callable[[], float] | None = None,
        on_flow: Callable[[str], None] = lambda _pod_uid: None,
        sharing: FlowSharing | None = None,
    ) -> None:
        """Make a relay that is not open yet.

        Args:
            find_pod: Route lookup.
            limits: Bounds on flows.
            clock: Monotonic seconds; the loop's clock by default.
            on_flow: Called with the pod's UID when a flow was confirmed or a confirmed one ended.
            sharing: Other replicas; none by default.
        """
        self._sharing = sharing
        self._find_pod = find_pod
        self._loop = asyncio.get_running_loop()
        self._clock = clock or self._loop.time
        self._on_flow = on_flow
        self._socket: socket.socket | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self.flows = FlowTable(limits, on_close=self._closed)
        self.packets_to_pods = self.bytes_to_pods = 0
        self.packets_to_clients = self.bytes_to_clients = 0
        self.dropped: Counter[str] = Counter()
        """Datagrams by reason of the drop; the reasons are literals in this module."""
        self.ended: Counter[CloseReason] = Counter()
        self.confirmed_total = 0
        self.idle = asyncio.Event()
        """Set while no flow is confirmed."""
        self.idle.set()

    @property
    def port(self) -> int:
        """Port that is really bound."""
        assert self._socket is not None, "the relay is not open"
        port: int = self._socket.getsockname()[1]
        return port

    def open(self, host: str, port: int) -> None:
        """Bind the port and start to relay.

        Raises:
            OSError: the port cannot be bound.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        front = socket.socket(family, socket.SOCK_DGRAM)
        try:
            front.setblocking(False)
            if family == socket.AF_INET6:
                front.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            granted = _grow_buffer(front, FRONT_BUFFER_BYTES)
            front.bind((host, port))
        except OSError:
            front.close()
            raise
        self._socket = front
        if granted < FRONT_BUFFER_BYTES:
            logger.warning(
                "small receive buffer for media: raise net.core.rmem_max on the nodes",
                extra={"bytes": granted, "wanted_bytes": FRONT_BUFFER_BYTES},
            )
        self._loop.add_reader(front.fileno(), self._read_front, front)
        self._sweeper = self._loop.call_later(SWEEP_S, self._sweep_and_repeat)

    def close(self) -> None:
        """Stop relaying and close every socket."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        self.flows.close_all()
        if self._socket is not None:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None

    def sweep(self) -> None:
        """Forget flows whose time is over."""
        self.flows.sweep(self._clock())

    def _sweep_and_repeat(self) -> None:
        self.sweep()
        self._sweeper = self._loop.call_later(SWEEP_S, self._sweep_and_repeat)

    # -- from clients to pods --------------------------------------------------------------------

    def _read_front(self, front: socket.socket) -> None:
        confirmed = self.flows.confirmed
        recvfrom = front.recvfrom
        packets = size = 0
        for _ in range(BATCH):
            try:
                data, source = recvfrom(MAX_DATAGRAM)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                # A queued ICMP error of a client that went away; the next read goes on.
                self.dropped["client_unreachable"] += 1
                continue
            flow = confirmed.get(source)
            first = data[0] if data else 255
            if flow is None or first < 4:  # noqa: PLR2004 - RFC 7983: 0..3 is STUN
                self._on_unusual(data, source, flow)
            elif 127 < first < 192 or 19 < first < 64:  # noqa: PLR2004 - RTP and RTCP; DTLS
                if len(data) == MAX_DATAGRAM:
                    self.dropped["too_large"] += 1
                    continue
                flow.active = True
                try:
                    flow.send(data)
                except OSError as error:
                    self.dropped[_send_fault(error, "pod")] += 1
                    continue
                packets += 1
                size += len(data)
            else:
                self.dropped["unknown_kind"] += 1
        self.packets_to_pods += packets
        self.bytes_to_pods += size

    def _on_unusual(self, data: bytes, source: Address, confirmed: Flow | None) -> None:
        """Take STUN, and whatever comes from an address without a confirmed flow."""
        header = stun.read_header(data)
        if header is None:
            if not self._is_media(data) or not self._take_over(data, source):
                self.dropped[self._why_not_stun(data, source)] += 1
            return
        tentative = self.flows.tentative.get(source)
        if header.kind != stun.BINDING_REQUEST:
            # The client's answer to a check of the pod, or an indication.
            flow = confirmed or tentative
            if flow is None:
                if not self._take_over(data, source):
                    self.dropped["no_flow"] += 1
            else:
                self._to_pod(flow, data)
            return
        ufrag = stun.read_local_ufrag(data)
        if ufrag is None:
            self.dropped["no_ufrag"] += 1
        elif confirmed is not None and confirmed.ufrag == ufrag:
            self._to_pod(confirmed, data)
        elif tentative is not None and tentative.ufrag == ufrag:
            tentative.remember(header.transaction)
            self._to_pod(tentative, data)
        else:
            self._on_first(data, source, ufrag=ufrag, transaction=header.transaction)

    def _why_not_stun(self, data: bytes, source: Address) -> str:
        if not data or data[0] < 4:  # noqa: PLR2004 - claims to be STUN
            return "malformed"
        return "unconfirmed" if source in self.flows.tentative else "no_flow"

    @staticmethod
    def _is_media(data: bytes) -> bool:
        first = data[0] if data else 255
        return 127 < first < 192 or 19 < first < 64  # noqa: PLR2004 - RTP and RTCP; DTLS

    def _take_over(self, data: bytes, source: Address) -> bool:
        """Go on with the flow of a client that another replica had; whether there is one.

        ICE has confirmed the address there, so nothing new is trusted here.
        """
        found = self._sharing.find(source) if self._sharing is not None else None
        if found is None:
            return False
        ufrag, replica = found
        flow = self._open(source, ufrag=ufrag)
        if flow is not None:
            self._confirm(flow, taken_from=replica)
            self._to_pod(flow, data)
        return True

    def _on_first(self, data: bytes, source: Address, *, ufrag: str, transaction: bytes) -> None:
        """Open a flow for an address, or for an address that turns to another session."""
        flow = self._open(source, ufrag=ufrag)
        if flow is not None:
            flow.remember(transaction)
            self._to_pod(flow, data)

    def _open(self, source: Address, *, ufrag: str) -> Flow | None:
        """A tentative flow with its socket, or `None` with the reason counted."""
        place = parse_ufrag(ufrag)
        pod = self._find_pod(place.pod_digest) if place is not None else None
        if place is None or pod is None:
            self.dropped["unknown_ufrag"] += 1
            return None
        pod_uid, target = pod[0], (pod[1], place.port)
        flow = self.flows.admit(
            source, ufrag=ufrag, pod_uid=pod_uid, target=target, now=self._clock()
        )
        if flow is None:
            self.dropped["flow_limit"] += 1
            return None
        try:
            self._connect(flow)
        except OSError as error:
            extra = {"pod_uid": pod_uid, "cause": str(error)}
            logger.warning("no socket for a media flow", extra=extra)
            self.dropped["no_socket"] += 1
            self.flows.close(flow, "evicted")
            return None
        return flow

    def _connect(self, flow: Flow) -> None:
        family = socket.AF_INET6 if ":" in flow.target[0] else socket.AF_INET
        back = socket.socket(family, socket.SOCK_DGRAM)
        try:
            back.setblocking(False)
            _grow_buffer(back, BACK_BUFFER_BYTES)
            back.connect(flow.target)
        except OSError:
            back.close()
            raise
        flow.attach(_SocketLink(back, loop=self._loop))
        flow.local = back.getsockname()[:2]
        self._loop.add_reader(back.fileno(), partial(self._read_back, flow, back.recv))

    def _to_pod(self, flow: Flow, data: bytes) -> None:
        """Pass one STUN message on."""
        if flow.confirmed:
            flow.active = True
        elif flow.from_client <= 0:
            self.dropped["tentative_budget"] += 1
            return
        else:
            flow.from_client -= 1
        try:
            flow.send(data)
        except OSError as error:
            self.dropped[_send_fault(error, "pod")] += 1
            return
        self.packets_to_pods += 1
        self.bytes_to_pods += len(data)

    # -- from pods to clients --------------------------------------------------------------------

    def _read_back(self, flow: Flow, recv: Callable[[int], bytes]) -> None:
        front = self._socket
        if front is None or flow.closed:
            return
        sendto, source = front.sendto, flow.source
        packets = size = 0
        for _ in range(BATCH):
            try:
                data = recv(MAX_DATAGRAM)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                # ICMP: nothing listens on the pod's port (any more).
                self.dropped["pod_unreachable"] += 1
                continue
            if not flow.confirmed and not self._may_answer(flow, data):
                continue
            try:
                sendto(data, source)
            except OSError as error:
                self.dropped[_send_fault(error, "client")] += 1
                continue
            packets += 1
            size += len(data)
        self.packets_to_clients += packets
        self.bytes_to_clients += size

    def _may_answer(self, flow: Flow, data: bytes) -> bool:
        """Decide over a packet of the pod to an address that is not confirmed; maybe confirm it."""
        header = stun.read_header(data)
        if header is None:
            self.dropped["unconfirmed"] += 1
            return False
        if header.kind == stun.BINDING_SUCCESS and header.transaction in flow.transactions:
            self._confirm(flow)
            return True
        if flow.from_pod <= 0:
            self.dropped["tentative_budget"] += 1
            return False
        flow.from_pod -= 1
        return True

    def _confirm(self, flow: Flow, *, taken_from: str = "") -> None:
        self.flows.confirm(flow, now=self._clock())
        self.confirmed_total += 1
        self.idle.clear()
        self._on_flow(flow.pod_uid)
        if self._sharing is not None:
            self._sharing.opened(flow, taken_from=taken_from)

    def _closed(self, flow: Flow, reason: CloseReason) -> None:
        self.ended[reason] += 1
        if flow.confirmed:
            if self._sharing is not None:
                self._sharing.closed(flow, reason)
            self._on_flow(flow.pod_uid)
        if not self.flows.confirmed:
            self.idle.set()


def _send_fault(error: OSError, peer: str) -> str:
    full = isinstance(error, BlockingIOError)
    return f"{peer}_queue_full" if full else f"{peer}_unreachable"


def _grow_buffer(sock: socket.socket, wanted: int) -> int:
    """Ask for a receive buffer; return the bytes that the kernel grants for payload."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, wanted)
    except OSError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, wanted)
    # Linux doubles the value for its own bookkeeping and reports the double (socket(7)).
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2
