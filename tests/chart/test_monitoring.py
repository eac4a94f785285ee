"""Monitors find their targets, and alerts ask for figures that exist."""

import re
from pathlib import Path

import pytest

from chart.helm import ROOT, Manifest, of_kind, one, pods, render
from podstream_core import names, ports

SOURCES = (
    ROOT / "operator" / "podstream_operator" / "metrics.py",
    ROOT / "operator" / "podstream_router" / "metrics.py",
)


def exported(path: Path) -> set[str]:
    """Names of the metrics that a source file declares, without the suffixes of samples."""
    text = path.read_text()
    (prefix,) = re.findall(r'_PREFIX: Final = "(\w+)"', text)
    return {f"{prefix}_{name}" for name in re.findall(r'f"\{_PREFIX\}_(\w+)"', text)}


def rules() -> list[Manifest]:
    (found,) = of_kind(render("everything"), "PrometheusRule")
    (group,) = found["spec"]["groups"]
    assert found["metadata"]["labels"]["release"] == "prometheus"
    alerts: list[Manifest] = group["rules"]
    return alerts


def test_alerts_ask_for_figures_that_exist() -> None:
    known = set().union(*map(exported, SOURCES))
    asked = {name for rule in rules() for name in re.findall(r"podstream_\w+", rule["expr"])}
    plain = {re.sub(r"_(total|bucket|count|sum)$", "", name) for name in asked}
    assert len(plain) >= 5
    assert plain - known == set()


def test_alerts_say_what_to_do() -> None:
    for rule in rules():
        assert rule["labels"]["severity"] in ("critical", "warning"), rule["alert"]
        assert rule["annotations"].keys() == {"summary", "description"}, rule["alert"]
        assert rule["for"], rule["alert"]


def test_alerts_on_absence_name_scraped_services() -> None:
    """`up` carries the name of the Service that a ServiceMonitor selects."""
    manifests = render("everything")
    services = {item["metadata"]["name"] for item in of_kind(manifests, "Service")}
    asked = {name for rule in rules() for name in re.findall(r'service="([\w-]+)"', rule["expr"])}
    assert asked == {"podstream-operator-replicas", "podstream-router-admin"}
    assert asked <= services


@pytest.mark.parametrize(
    ("name", "service"),
    [
        ("podstream-operator", "podstream-operator-replicas"),
        ("podstream-router-admin", "podstream-router-admin"),
    ],
)
def test_service_monitor_selects_one_service(name: str, service: str) -> None:
    manifests = render("everything")
    spec = one(manifests, "ServiceMonitor", name)["spec"]
    wanted = spec["selector"]["matchLabels"].items()
    selected = [
        item
        for item in of_kind(manifests, "Service")
        if wanted <= item["metadata"]["labels"].items()
    ]
    assert [item["metadata"]["name"] for item in selected] == [service]
    (endpoint,) = spec["endpoints"]
    assert endpoint["port"] in {port["name"] for port in selected[0]["spec"]["ports"]}
    assert spec["namespaceSelector"] == {"matchNames": ["streams"]}


def test_pod_monitor_selects_session_pods() -> None:
    spec = one(render("everything"), "PodMonitor", "podstream-session")["spec"]
    assert spec["selector"]["matchLabels"] == {names.LABEL_ROLE: names.ROLE_SESSION}
    assert spec["namespaceSelector"] == {"matchNames": ["default", "team-a"]}
    (endpoint,) = spec["podMetricsEndpoints"]
    assert (endpoint["port"], endpoint["path"]) == ("control", "/metrics")


def test_monitoring_is_off_by_default() -> None:
    versions = {manifest["apiVersion"] for manifest in render("default")}
    assert not [version for version in versions if version.startswith("monitoring.coreos.com/")]


def test_admin_port_is_not_on_the_service_for_clients() -> None:
    manifests = render("default")
    open_ports = one(manifests, "Service", "podstream-router")["spec"]["ports"]
    assert "admin" not in {port["targetPort"] for port in open_ports}
    (router,) = pods(manifests)["podstream-router"]["containers"]
    assert {"name": "admin", "containerPort": ports.ROUTER_ADMIN_PORT, "protocol": "TCP"} in router[
        "ports"
    ]
