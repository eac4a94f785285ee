"""The agent's Prometheus metrics, in a registry of their own."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from podstream_core.agentapi import AgentPhase, AgentState
from podstream_workloads.agent.gate import SlotKind


class AgentMetrics:
    """Counters that the agent bumps; gauges are read from its state when they are scraped."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.assignments = Counter(
            "podstream_agent_assignments",
            "Assignment requests by result: Accepted, Repeated, or the error of the refusal.",
            ["result"],
            registry=self.registry,
        )
        self.connections = Counter(
            "podstream_agent_connections",
            "Connections of clients by result: Accepted, or the error of the refusal.",
            ["workload", "protocol", "result"],
            registry=self.registry,
        )
        self.workload_events = Counter(
            "podstream_agent_workload_events",
            "Reports of workloads to the agent, by kind.",
            ["workload", "event"],
            registry=self.registry,
        )
        self.rejected_peers = Counter(
            "podstream_agent_rejected_peers",
            "TCP connections closed because they were too many or too slow.",
            ["port", "reason"],
            registry=self.registry,
        )

    def watch(
        self,
        state: Callable[[], AgentState],
        *,
        capacities: Callable[[], Mapping[SlotKind, int]],
    ) -> None:
        """Show the agent's state in every scrape."""
        self.registry.register(_StateCollector(state, capacities))


class _StateCollector(Collector):
    def __init__(
        self,
        state: Callable[[], AgentState],
        capacities: Callable[[], Mapping[SlotKind, int]],
    ) -> None:
        self._state = state
        self._capacities = capacities

    def describe(self) -> Iterable[Metric]:
        return []  # names come from `collect`; asking for them needs no state

    def collect(self) -> Iterator[Metric]:
        state = self._state()
        phases = GaugeMetricFamily(
            "podstream_agent_phase", "1 for the phase that the agent is in.", labels=["phase"]
        )
        for phase in AgentPhase:
            phases.add_metric([phase.value], float(phase is state.phase))
        yield phases
        yield self._slots(state)
        figures = GaugeMetricFamily(
            "podstream_agent_result",
            "Newest figures of the session's results, by the name they have in status.results.",
            labels=["workload", "figure"],
        )
        body = {} if state.results is None else state.results.to_body()
        for workload, values in body.items():
            for name, value in _numbers(values):
                figures.add_metric([workload, name], value)
        yield figures

    def _slots(self, state: AgentState) -> Metric:
        slots = GaugeMetricFamily(
            "podstream_agent_slots",
            "Slots of the gate: capacity, connected, or reserved for a client that may return.",
            labels=["workload", "role", "state"],
        )
        for (workload, role), capacity in self._capacities().items():
            taken = [
                item.connected
                for item in state.connections
                if (item.workload, item.role) == (workload, role)
            ]
            slots.add_metric([workload, role, "capacity"], capacity)
            slots.add_metric([workload, role, "connected"], sum(taken))
            slots.add_metric([workload, role, "reserved"], len(taken) - sum(taken))
        return slots


def _numbers(values: Any, prefix: str = "") -> Iterator[tuple[str, float]]:
    """Every number of nested figures, as `latencyMs.p50`."""
    if not isinstance(values, dict):
        return
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _numbers(value, f"{prefix}{name}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{prefix}{name}", float(value)
