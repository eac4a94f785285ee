"""Every figure that the router exports, with its help text.

Labels take values from this program only, never from clients. Figures that the media path counts
are read from the relay at scrape time, so that a packet costs no call into a metrics library.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from podstream_router.relay import MediaRelay
from podstream_router.routes import RouteTable
from podstream_router.watch import Watch

_PREFIX: Final = "podstream_router"
_HOLD_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class RouterMetrics:
    """Counters of connections, holds, dials, watches and hints."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.connections = Counter(
            f"{_PREFIX}_connections",
            "Connections by protocol and result (Bound, or the code of the refusal).",
            ["protocol", "result"],
            registry=self.registry,
        )
        self.open_connections = Gauge(
            f"{_PREFIX}_open_connections",
            "TCP connections that are open now.",
            ["protocol"],
            registry=self.registry,
        )
        self.hold_seconds = Histogram(
            f"{_PREFIX}_hold_seconds",
            "Time from a connection's arrival until a pod took it or it was refused.",
            ["protocol"],
            buckets=_HOLD_BUCKETS,
            registry=self.registry,
        )
        self.dial_retries = Counter(
            f"{_PREFIX}_dial_retries",
            "Attempts that found a pod not ready yet.",
            registry=self.registry,
        )
        self.hints = Counter(
            f"{_PREFIX}_hints",
            "Hints to the operator by result (sent, failed, dropped).",
            ["result"],
            registry=self.registry,
        )
        self.claims = Counter(
            f"{_PREFIX}_claims",
            "Attempts to take an idle pod of a pool for a connection, by result (won, lost to "
            "another, unreachable, busy: refused by a maximum or a limit).",
            ["result"],
            registry=self.registry,
        )
        self.claim_seconds = Histogram(
            f"{_PREFIX}_claim_seconds",
            "Time from a connection's arrival until it had a pod of the pool, by origin (Warm, or "
            "Cold where it had to wait for a pod's start).",
            ["origin"],
            buckets=_HOLD_BUCKETS,
            registry=self.registry,
        )
        self.pool_waiting = Gauge(
            f"{_PREFIX}_pool_waiting",
            "Connections that wait for a pod of a pool, over all pools.",
            registry=self.registry,
        )
        self.recordings = Counter(
            f"{_PREFIX}_recordings",
            "Creations of connections' sessions by result (created, retried; and ended with the "
            "connection: rejected by the API server, expired, abandoned at shutdown).",
            ["result"],
            registry=self.registry,
        )
        self.unrecorded = Gauge(
            f"{_PREFIX}_unrecorded_sessions",
            "Sessions of connections that are served and not created yet.",
            registry=self.registry,
        )
        self.watch_restarts = Counter(
            f"{_PREFIX}_watch_restarts",
            "Watches that had to be opened anew, by reason (ended, broken, gone, error).",
            ["resource", "reason"],
            registry=self.registry,
        )

    def count_watch_restart(self, resource: str, reason: str) -> None:
        """A watch of this resource had to be opened anew."""
        self.watch_restarts.labels(resource, reason).inc()

    def observe_routes(self, routes: RouteTable) -> None:
        """Export the size of the route table."""
        self.registry.register(_RoutesCollector(routes))

    def observe_watches(self, watches: Sequence[Watch], *, clock: Callable[[], float]) -> None:
        """Export the health of the watches."""
        self.registry.register(_WatchCollector(watches, clock))

    def observe_relay(self, relay: MediaRelay) -> None:
        """Export what the media relay counts."""
        self.registry.register(_RelayCollector(relay))


class _RoutesCollector(Collector):
    def __init__(self, routes: RouteTable) -> None:
        self._routes = routes

    def collect(self) -> Iterable[Metric]:
        family = GaugeMetricFamily(
            f"{_PREFIX}_routes", "Sessions, pools and running pods that are known.", labels=["kind"]
        )
        family.add_metric(["session"], self._routes.session_count)
        family.add_metric(["pool"], self._routes.pool_count)
        family.add_metric(["pod"], self._routes.pod_count)
        yield family


class _WatchCollector(Collector):
    def __init__(self, watches: Sequence[Watch], clock: Callable[[], float]) -> None:
        self._watches = watches
        self._clock = clock

    def collect(self) -> Iterable[Metric]:
        labels = ["resource", "namespace"]
        synced = GaugeMetricFamily(
            f"{_PREFIX}_watch_synced", "1 once a complete list was received.", labels=labels
        )
        age = GaugeMetricFamily(
            f"{_PREFIX}_watch_last_event_age_seconds",
            "Time since the last list, event or bookmark; bookmarks come about once a minute.",
            labels=labels,
        )
        for watch in self._watches:
            values = [watch.resource.name, watch.resource.namespace or ""]
            synced.add_metric(values, int(watch.synced))
            age.add_metric(values, self._clock() - watch.heard_at)
        yield synced
        yield age


class _RelayCollector(Collector):
    def __init__(self, relay: MediaRelay) -> None:
        self._relay = relay

    def collect(self) -> Iterable[Metric]:
        relay = self._relay
        flows = GaugeMetricFamily(
            f"{_PREFIX}_media_flows", "Media flows by state.", labels=["state"]
        )
        flows.add_metric(["confirmed"], len(relay.flows.confirmed))
        flows.add_metric(["tentative"], len(relay.flows.tentative))
        yield flows
        yield CounterMetricFamily(
            f"{_PREFIX}_media_flows_confirmed",
            "Media flows that a pod has confirmed.",
            value=relay.confirmed_total,
        )
        ended = CounterMetricFamily(
            f"{_PREFIX}_media_flows_ended", "Media flows that ended, by reason.", labels=["reason"]
        )
        for reason, count in relay.ended.items():
            ended.add_metric([reason], count)
        yield ended
        yield _per_direction(
            "packets", "Media datagrams passed on.", relay.packets_to_pods, relay.packets_to_clients
        )
        yield _per_direction(
            "bytes", "Media bytes passed on.", relay.bytes_to_pods, relay.bytes_to_clients
        )
        dropped = CounterMetricFamily(
            f"{_PREFIX}_media_dropped", "Media datagrams dropped, by reason.", labels=["reason"]
        )
        for fault, count in relay.dropped.items():
            dropped.add_metric([fault], count)
        yield dropped


def _per_direction(name: str, text: str, to_pods: int, to_clients: int) -> CounterMetricFamily:
    family = CounterMetricFamily(f"{_PREFIX}_media_{name}", text, labels=["direction"])
    family.add_metric(["to_pod"], to_pods)
    family.add_metric(["to_client"], to_clients)
    return family
