"""Monitors find their targets."""

import pytest

from chart.helm import of_kind, one, pods, render
from podstream_core import names, ports


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
