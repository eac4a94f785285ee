"""Figures that Prometheus reads, each with its help text."""

import time
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Protocol

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from podstream_core.api import Phase, StreamPool, StreamSession

_PREFIX: Final = "podstream_operator"
MAX_REASONS: Final = 50
"""Reasons of a session's end that have a series of their own; about thirty are known."""
_RECONCILE_BUCKETS: Final = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
_READY_BUCKETS: Final = (0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0)


class QueueView(Protocol):
    """What is shown of the work queue."""

    def depth(self) -> int:
        """Keys that wait for a worker."""
        ...

    def oldest_s(self) -> float:
        """Seconds that the oldest of them has been waiting."""
        ...


class Metrics:
    """All metrics of one operator, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._reasons: set[str] = set()
        self._reconciles = Counter(
            f"{_PREFIX}_reconcile",
            "Reconciles by result: ok, retry (a call failed and is repeated), error (a bug).",
            ["result"],
            registry=self.registry,
        )
        self._reconcile_seconds = Histogram(
            f"{_PREFIX}_reconcile_seconds",
            "Duration of one reconcile with all its calls, seconds.",
            buckets=_RECONCILE_BUCKETS,
            registry=self.registry,
        )
        self._api_calls = Counter(
            f"{_PREFIX}_api_requests",
            "Calls to the Kubernetes API by verb, resource and HTTP status ('error': no answer).",
            ["verb", "resource", "code"],
            registry=self.registry,
        )
        self._agent_calls = Counter(
            f"{_PREFIX}_agent_requests",
            "Calls to agents of session pods by call and result.",
            ["call", "result"],
            registry=self.registry,
        )
        self._ready_seconds = Histogram(
            f"{_PREFIX}_time_to_ready_seconds",
            "From the moment a session was applied until a client can connect, seconds.",
            ["origin"],
            buckets=_READY_BUCKETS,
            registry=self.registry,
        )
        self._ended = Counter(
            f"{_PREFIX}_sessions_ended",
            "Sessions that ended, by reason; 'Completed' is success, 'Other' one reason too many.",
            ["reason"],
            registry=self.registry,
        )
        self._events_dropped = Counter(
            f"{_PREFIX}_events_dropped",
            "Kubernetes Events that could not be posted. Nothing but the Event is lost.",
            registry=self.registry,
        )
        self._pool_pods_created = Counter(
            f"{_PREFIX}_pool_pods_created",
            "Pods that were started to wait in a pool.",
            registry=self.registry,
        )
        self._watch_seen = Gauge(
            f"{_PREFIX}_watch_last_event_timestamp_seconds",
            "When a watch delivered its last event, seconds since the epoch.",
            ["kind"],
            registry=self.registry,
        )
        self._watch_behind = Gauge(
            f"{_PREFIX}_watch_behind_seconds",
            "For how long a watch has been missing what a list already shows; 0 is healthy.",
            registry=self.registry,
        )
        self._leader = Gauge(
            f"{_PREFIX}_leader",
            "1 while this process holds the Lease and works, 0 while it waits for its turn.",
            registry=self.registry,
        )

    def observe_leader(self, leads: Callable[[], bool]) -> None:
        """Show at each scrape whether this process leads."""
        self._leader.set_function(leads)

    def reconciled(self, result: str, seconds: float) -> None:
        """Count a reconcile."""
        self._reconciles.labels(result).inc()
        self._reconcile_seconds.observe(seconds)

    def pool_pod_created(self) -> None:
        """Count a pod that was started for a pool."""
        self._pool_pods_created.inc()

    def api_call(self, *, verb: str, resource: str, code: str) -> None:
        """Count a call to the Kubernetes API."""
        self._api_calls.labels(verb, resource, code).inc()

    def agent_call(self, *, call: str, result: str) -> None:
        """Count a call to an agent."""
        self._agent_calls.labels(call, result).inc()

    def became_ready(self, *, origin: str, seconds: float) -> None:
        """Note how long a session took to become Ready."""
        self._ready_seconds.labels(origin).observe(seconds)

    def ended(self, reason: str) -> None:
        """Count a session's end."""
        # A reason may come from a pod: one that has gone wrong must not make series without end.
        if reason not in self._reasons and len(self._reasons) >= MAX_REASONS:
            reason = "Other"
        self._reasons.add(reason)
        self._ended.labels(reason).inc()

    def event_dropped(self) -> None:
        """Count an Event that was not posted."""
        self._events_dropped.inc()

    def watch_event(self, kind: str) -> None:
        """Note that a watch lives."""
        self._watch_seen.labels(kind).set(time.time())

    def observe_state(
        self,
        *,
        queue: QueueView,
        sessions: Callable[[], Iterable[StreamSession]],
        pools: Callable[[], Iterable[StreamPool]],
        watch_behind_s: Callable[[], float],
    ) -> None:
        """Show queue, sessions, pools and watches as they are at each scrape."""
        self.registry.register(_StateCollector(queue, sessions, pools))
        self._watch_behind.set_function(watch_behind_s)

    def render(self) -> bytes:
        """Prometheus' text format."""
        return generate_latest(self.registry)


class _StateCollector(Collector):
    """Reads the queue and the cache when Prometheus asks."""

    def __init__(
        self,
        queue: QueueView,
        sessions: Callable[[], Iterable[StreamSession]],
        pools: Callable[[], Iterable[StreamPool]],
    ) -> None:
        self._queue = queue
        self._sessions = sessions
        self._pools = pools

    def collect(self) -> Iterator[Metric]:
        """Metrics of this moment."""
        depth = GaugeMetricFamily(f"{_PREFIX}_queue_depth", "Sessions that wait for a worker.")
        depth.add_metric([], self._queue.depth())
        yield depth
        oldest = GaugeMetricFamily(
            f"{_PREFIX}_queue_oldest_seconds",
            "How long the session has waited that has waited longest, seconds.",
        )
        oldest.add_metric([], self._queue.oldest_s())
        yield oldest
        phases = Tally(session.status.phase or Phase.PENDING for session in self._sessions())
        sessions = GaugeMetricFamily(
            f"{_PREFIX}_sessions", "StreamSessions by phase.", labels=["phase"]
        )
        for phase in Phase:
            sessions.add_metric([phase.value], phases[phase])
        yield sessions
        pods = GaugeMetricFamily(
            f"{_PREFIX}_pool_pods",
            "Pods of each StreamPool by state: idle, starting, in_use, lingering.",
            labels=["namespace", "pool", "state"],
        )
        waiting = GaugeMetricFamily(
            f"{_PREFIX}_pool_waiting",
            "Connections that wait for a pod of the StreamPool, as the routers told last.",
            labels=["namespace", "pool"],
        )
        for pool in self._pools():
            key, status = pool.key, pool.status
            counts = {
                "idle": status.warm,
                "starting": status.starting,
                "in_use": status.in_use,
                "lingering": status.lingering,
            }
            for state, count in counts.items():
                pods.add_metric([key.namespace, key.name, state], count)
            waiting.add_metric([key.namespace, key.name], status.waiting)
        yield pods
        yield waiting
