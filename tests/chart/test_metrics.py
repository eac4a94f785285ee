"""Alerts and dashboard ask for what operator, router and agent export, and for nothing else."""

import asyncio

import aiohttp
import prometheus_client
import pytest

from chart.exported import Family, families
from chart.expressions import expressions, grouped_by, metrics_in
from fakes.world import running_world
from podstream_core.agentapi import AgentPhase, AgentState
from podstream_core.api import CircleResults, Results
from podstream_operator.metrics import MAX_REASONS, Metrics
from podstream_router.metrics import RouterMetrics
from podstream_workloads.agent.gate import SlotKind
from podstream_workloads.agent.metrics import AgentMetrics
from router.harness import running_router

TARGET = {"namespace", "pod", "service", "instance", "job", "container", "endpoint"}
"""Labels that Prometheus adds to every series of a Service's or a pod's port."""
KNOWN_LABELS = {
    "call",
    "code",
    "direction",
    "event",
    "figure",
    "kind",
    "le",
    "namespace",
    "origin",
    "phase",
    "pool",
    "port",
    "protocol",
    "reason",
    "resource",
    "result",
    "role",
    "state",
    "verb",
    "workload",
}
"""Of each of them there are few values: what podstream itself names, namespaces, and pools."""


async def _operator() -> dict[str, Family]:
    async with running_world() as world, world.running_operator():
        await world.apply_pool()
        await world.apply()
        await world.reach("Ready")
        _, text = await world.fetch("/metrics")
    return families(text, registries=[Metrics().registry])


async def _router() -> dict[str, Family]:
    async with running_router() as harness, aiohttp.ClientSession() as http:
        relay = harness.router.relay
        relay.dropped["no_ufrag"] += 1
        relay.ended["idle"] += 1
        harness.router.sharing.group.messages["taken"] += 1
        async with http.get(harness.admin_url("/metrics")) as answer:
            text = await answer.text()
    return families(text, registries=[RouterMetrics().registry])


def _agent() -> dict[str, Family]:
    metrics = AgentMetrics()
    state = AgentState(
        pod_uid="u",
        phase=AgentPhase.CONNECTED,
        results=Results(circle=CircleResults(frames_scored=1)),
    )
    metrics.watch(lambda: state, capacities=lambda: {SlotKind("circle", "player"): 1})
    return families(
        prometheus_client.generate_latest(metrics.registry).decode(), registries=[metrics.registry]
    )


@pytest.fixture(scope="module")
def exported() -> dict[str, Family]:
    async def ask() -> dict[str, Family]:
        return {**_agent(), **await _router(), **await _operator()}

    # As both programs do: a creation time beside every counter is of no use to anybody.
    prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
    try:
        return asyncio.run(ask())
    finally:
        prometheus_client.enable_created_metrics()  # type: ignore[no-untyped-call]


def test_labels_are_known(exported: dict[str, Family]) -> None:
    """The check above leaves out what has no series in a test."""
    unknown = {family.name for family in exported.values() if not family.has_series}
    assert unknown <= {"podstream_router_takeovers", "podstream_agent_slots"}


@pytest.fixture(scope="module")
def by_sample(exported: dict[str, Family]) -> dict[str, Family]:
    return {sample: family for family in exported.values() for sample in family.samples}


@pytest.mark.parametrize(("place", "expression"), expressions().items())
def test_expression_asks_for_what_is_exported(
    by_sample: dict[str, Family], place: str, expression: str
) -> None:
    asked = metrics_in(expression)
    assert asked or "up{" in expression, place
    missing = asked.keys() - by_sample.keys()
    assert not missing, f"{place}: nobody exports {missing}"
    allowed = TARGET | {"le"}
    for name, matched in asked.items():
        if not by_sample[name].has_series:
            continue
        labels = by_sample[name].labels
        assert matched <= labels | TARGET, f"{place}: {name} has no {matched - labels}"
        allowed |= {"exported_namespace" if label == "namespace" else label for label in labels}
    if all(by_sample[name].has_series for name in asked):
        assert grouped_by(expression) <= allowed, place


def test_every_metric_says_what_it_is(exported: dict[str, Family]) -> None:
    assert len(exported) > 40
    for family in exported.values():
        assert family.text.endswith("."), family.name
        assert len(family.text) > 15, family.name
        assert family.name.startswith(("podstream_", "process_")), family.name


def test_labels_have_few_values(exported: dict[str, Family]) -> None:
    """No session, pod or client makes a series of its own."""
    for family in exported.values():
        assert family.labels <= KNOWN_LABELS, family.name


def test_every_metric_of_the_operator_is_shown_or_watched(exported: dict[str, Family]) -> None:
    """What nobody looks at need not be exported; session pods are looked at one by one."""
    asked = {name for text in expressions().values() for name in metrics_in(text)}
    unseen = {
        family.name
        for family in exported.values()
        if family.name.startswith(("podstream_operator_", "podstream_router_"))
        and not family.samples & asked
    }
    assert unseen <= {"podstream_router_watch_last_event_age_seconds"}


def test_reasons_of_pods_make_no_series_without_end() -> None:
    metrics = Metrics()
    for number in range(3 * MAX_REASONS):
        metrics.ended(f"Invented{number}")
    metrics.ended("Invented0")
    found = families(metrics.render().decode(), registries=[])["podstream_operator_sessions_ended"]
    lines = [
        line
        for line in metrics.render().decode().splitlines()
        if line.startswith("podstream_operator_sessions_ended_total{")
    ]
    assert len(lines) == MAX_REASONS + 1
    assert f'{{reason="Other"}} {2 * MAX_REASONS}.0' in "\n".join(lines)
    assert found.labels == {"reason"}
