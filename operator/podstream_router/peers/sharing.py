"""Shares the media flows of this replica with the others, and goes on with theirs.

The relay asks here about addresses that it does not know, and tells of every flow that begins or
ends. A flow that another replica has taken over is contested: it ends here once its client is
silent; while the client is still heard, it is taken back.
"""

import asyncio
import logging
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import aiohttp
from aiohttp import web
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from podstream_router.flows import Address, CloseReason, Flow, FlowTable
from podstream_router.peers.group import PeerGroup
from podstream_router.peers.messages import FlowEntry, Seal, Source
from podstream_router.peers.mover import AboutFlow, MoveMedia, Mover, about_pod_uid
from podstream_router.peers.outbox import OwnFlows
from podstream_router.peers.table import AnnouncedFlows

logger = logging.getLogger(__name__)

_PREFIX: Final = "podstream_router"


class Sharing:
    """One replica's part in carrying flows together."""

    def __init__(
        self,
        names: Sequence[str],
        *,
        http: aiohttp.ClientSession,
        seal: Seal,
        move: MoveMedia,
        max_flows: int,
        clock: Callable[[], float],
        about: AboutFlow = about_pod_uid,
    ) -> None:
        """Prepare.

        Args:
            names: `host:port` of the peers; none: this replica is alone.
            http: for messages to peers.
            seal: of the installation.
            move: orders a pod to send a flow's media here.
            max_flows: of one replica.
            clock: monotonic seconds.
            about: the fields of a log line about a flow.
        """
        self._clock = clock
        self._own = OwnFlows(name=uuid.uuid4().hex)
        self._announced = AnnouncedFlows(max_flows=max_flows)
        self._about = about
        self._mover = Mover(move, on_refused=self._refused, about=about)
        self._table: FlowTable | None = None
        self._flows: dict[Source, Flow] = {}
        """Confirmed flows by what peers call them; an IPv6 address has more parts in the table."""
        self.group = PeerGroup(
            names,
            http=http,
            seal=seal,
            own=self._own,
            announced=self._announced,
            on_news=self._on_news,
            max_flows=max_flows,
        )

    def attach(self, table: FlowTable) -> None:
        """Watch a table of flows."""
        self._table = table
        table.on_return = self._take_back

    def add_to(self, app: web.Application) -> None:
        """Take messages on the port that clients do not reach."""
        self.group.add_to(app)

    async def run(self, *, admin_port: int) -> None:
        """Take part until cancelled; `admin_port` is where peers write to."""
        self._own.admin_port = admin_port
        async with asyncio.TaskGroup() as group:
            group.create_task(self.group.run(), name="peers")
            group.create_task(self._mover.run(), name="mover")

    # -- asked and told by the relay ---------------------------------------------------------------

    def find(self, source: Address) -> tuple[str, str] | None:
        """ICE fragment of the flow that a peer has announced for this address, and its name."""
        return self._announced.take(source[:2], now=self._clock())

    def opened(self, flow: Flow, *, taken_from: str = "") -> None:
        """A flow was confirmed by its pod, or taken over from a peer: then its pod is told."""
        key = flow.source[:2]
        self._flows[key] = flow
        self._own.flows[key] = FlowEntry(*key, flow.ufrag, taken_from)
        self.group.note(key)
        if taken_from:
            self._mover.move(flow)

    def closed(self, flow: Flow, reason: CloseReason) -> None:
        """A confirmed flow has ended.

        At this replica's own end nothing is said: its clients are to be found by the others.
        """
        if reason != "shutdown":
            key = flow.source[:2]
            self._flows.pop(key, None)
            self._own.flows.pop(key, None)
            self.group.note(key)

    # -- what peers do with our flows --------------------------------------------------------------

    def _on_news(self, entries: list[FlowEntry]) -> None:
        now = self._clock()
        for entry in entries:
            flow = self._flows.get(entry.source)
            if flow is not None and entry.taken_from == self._own.name:
                FlowTable.contest(flow, now=now)

    def _take_back(self, flow: Flow) -> None:
        """A peer has taken a flow over, but its client still sends here."""
        taken = self._announced.take(flow.source[:2], now=self._clock())
        if taken is None:
            return  # the peer has given up by itself
        logger.warning("media flow taken back", extra=dict(self._about(flow)))
        self.opened(flow, taken_from=taken.replica)

    def _refused(self, flow: Flow) -> None:
        if self._table is not None:
            self._table.close(flow, "refused")

    # -- figures -----------------------------------------------------------------------------------

    def collector(self) -> Collector:
        """Figures of this part."""
        return _SharingCollector(self)

    def metrics(self) -> Iterable[Metric]:
        """Figures as they are now."""
        yield GaugeMetricFamily(
            f"{_PREFIX}_peers", "Other replicas that answer.", value=len(self.group.links)
        )
        yield GaugeMetricFamily(
            f"{_PREFIX}_peer_flows",
            "Media flows that other replicas have announced.",
            value=self._announced.count,
        )
        messages = CounterMetricFamily(
            f"{_PREFIX}_peer_messages", "Messages of other replicas, by result.", labels=["result"]
        )
        for result, count in self.group.messages.items():
            messages.add_metric([result], count)
        yield messages
        takeovers = CounterMetricFamily(
            f"{_PREFIX}_takeovers",
            "Media flows taken over from another replica, by the pod's answer.",
            labels=["result"],
        )
        for moved, count in self._mover.results.items():
            takeovers.add_metric([moved.value], count)
        yield takeovers


class _SharingCollector(Collector):
    def __init__(self, sharing: Sharing) -> None:
        self._sharing = sharing

    def collect(self) -> Iterable[Metric]:
        return self._sharing.metrics()
