"""Who may talk to whom, as NetworkPolicies say it."""

import json
from typing import Any

import pytest

from chart.helm import VALUES, of_kind, one, render
from podstream_core import ports

Policy = dict[str, Any]


def peer(component: str) -> dict[str, Any]:
    return {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "streams"}},
        "podSelector": {
            "matchLabels": {
                "app.kubernetes.io/name": "podstream",
                "app.kubernetes.io/instance": "podstream",
                "app.kubernetes.io/component": component,
            }
        },
    }


def tcp(port: int) -> dict[str, Any]:
    return {"port": port, "protocol": "TCP"}


def policy(name: str, *settings: str) -> Policy:
    spec: Policy = one(render("default", *settings), "NetworkPolicy", name)["spec"]
    return spec


CONTROL = tcp(ports.AGENT_CONTROL_PORT)


def test_session_pods_are_closed_but_to_router_and_operator() -> None:
    last = ports.MEDIA_PORT_FIRST + ports.MEDIA_PORT_COUNT - 1
    assert policy("podstream-session") == {
        "podSelector": {"matchLabels": {"podstream.dev/role": "session"}},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [
            {
                "from": [peer("router")],
                "ports": [
                    CONTROL,
                    tcp(ports.AGENT_CONNECT_PORT),
                    tcp(ports.AGENT_STREAM_PORT),
                    {"port": ports.MEDIA_PORT_FIRST, "endPort": last, "protocol": "UDP"},
                ],
            },
            {"from": [peer("operator")], "ports": [CONTROL]},
        ],
        "egress": [],
    }


CAMERAS = ("podstream-sources", {"podstream.dev/pulls": "RTSP"}, "10.20.0.0/24", 554)
BUCKETS = ("podstream-storage", {"podstream.dev/stores": "S3"}, "10.30.0.7/32", 9000)


@pytest.mark.parametrize(("name", "label", "cidr", "port"), [CAMERAS, BUCKETS])
def test_pods_that_pull_or_store_reach_what_the_installation_names_and_dns_only(
    name: str, label: dict[str, str], cidr: str, port: int
) -> None:
    (spec,) = [
        item["spec"]
        for item in of_kind(render("everything"), "NetworkPolicy")
        if item["metadata"]["name"] == name and item["metadata"]["namespace"] == "team-a"
    ]
    assert spec["podSelector"] == {"matchLabels": {"podstream.dev/role": "session", **label}}
    assert spec["policyTypes"] == ["Egress"]
    named, dns = spec["egress"]
    assert named == {"to": [{"ipBlock": {"cidr": cidr}}], "ports": [tcp(port)]}
    assert dns["ports"] == [{"port": 53, "protocol": "UDP"}, tcp(53)]


@pytest.mark.parametrize("what", ["PostgreSQL", "Rekognition"])
def test_who_asks_a_service_reaches_what_the_installation_names_and_dns_only(what: str) -> None:
    allowed = [{"to": [{"ipBlock": {"cidr": "10.30.0.5/32"}}], "ports": [5432]}]
    value = what.lower()
    (spec,) = [
        item["spec"]
        for item in of_kind(
            render("default", f"networkPolicy.{value}={json.dumps(allowed)}"), "NetworkPolicy"
        )
        if item["metadata"]["name"] == f"podstream-{value}"
    ]
    assert spec["podSelector"] == {
        "matchLabels": {"podstream.dev/role": "session", "podstream.dev/asks": what}
    }
    assert spec["policyTypes"] == ["Egress"]
    service, dns = spec["egress"]
    assert service == {"to": allowed[0]["to"], "ports": [tcp(5432)]}
    assert dns["ports"] == [{"port": 53, "protocol": "UDP"}, tcp(53)]


def test_nothing_is_pulled_or_stored_unless_the_installation_names_it() -> None:
    names = {item["metadata"]["name"] for item in of_kind(render("default"), "NetworkPolicy")}
    assert not {"podstream-sources", "podstream-storage"} & names


def test_client_pods_reach_the_router_and_dns_only() -> None:
    spec = policy("podstream-client")
    assert spec["podSelector"] == {"matchLabels": {"podstream.dev/role": "client"}}
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert spec["ingress"] == []
    router, dns = spec["egress"]
    assert router["to"] == [peer("router")]
    assert router["ports"] == [
        *(tcp(inside(row.port)) for row in ports.LISTENERS if row.protocol != "media"),
        {"port": 3478, "protocol": "UDP"},
    ]
    (where,) = dns["to"]
    assert where["podSelector"] == {"matchLabels": {"k8s-app": "kube-dns"}}
    assert dns["ports"] == [{"port": 53, "protocol": "UDP"}, tcp(53)]


def test_pods_that_reach_another_session_reach_the_router_s_first_port_and_dns_only() -> None:
    spec = policy("podstream-dials")
    assert spec["podSelector"] == {
        "matchLabels": {"podstream.dev/role": "session", "podstream.dev/dials": "router"}
    }
    assert spec["policyTypes"] == ["Egress"]
    router, dns = spec["egress"]
    assert router == {"to": [peer("router")], "ports": [tcp(8080)]}
    assert dns["ports"] == [{"port": 53, "protocol": "UDP"}, tcp(53)]


def inside(port: int) -> int:
    """The port in the router's container: unprivileged."""
    return port if port >= 1024 else port + 10_000


def test_router_is_open_on_what_it_serves() -> None:
    spec = policy("podstream-router")
    everyone, replicas = spec["ingress"]
    assert "from" not in everyone
    assert everyone["ports"] == [
        *(tcp(inside(row.port)) for row in ports.LISTENERS if row.protocol != "media"),
        {"port": 3478, "protocol": "UDP"},
    ]
    assert tcp(ports.ROUTER_ADMIN_PORT) not in everyone["ports"]
    assert replicas == {
        "from": [{"podSelector": peer("router")["podSelector"]}],
        "ports": [tcp(ports.ROUTER_ADMIN_PORT)],
    }


def test_operator_hears_routers() -> None:
    (rule,) = policy("podstream-operator")["ingress"]
    assert rule == {
        "from": [{"podSelector": peer("router")["podSelector"]}],
        "ports": [tcp(ports.OPERATOR_HTTP_PORT)],
    }


MONITORING = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}


@pytest.mark.parametrize(
    ("name", "port"),
    [
        ("podstream-session", ports.AGENT_CONTROL_PORT),
        ("podstream-operator", ports.OPERATOR_HTTP_PORT),
        ("podstream-router", ports.ROUTER_ADMIN_PORT),
    ],
)
def test_metrics_are_read_by_those_named(name: str, port: int) -> None:
    found = [
        item["spec"]
        for item in of_kind(render("everything"), "NetworkPolicy")
        if item["metadata"]["name"] == name
    ]
    assert found
    for spec in found:
        rules = [rule for rule in spec["ingress"] if MONITORING in rule.get("from", [])]
        assert [rule["ports"] for rule in rules] == [[tcp(port)]]


def test_every_served_namespace_is_closed() -> None:
    places = {
        (item["metadata"]["namespace"], item["metadata"]["name"])
        for item in of_kind(render("everything"), "NetworkPolicy")
    }
    assert places == {
        ("default", "podstream-session"),
        ("default", "podstream-client"),
        ("default", "podstream-dials"),
        ("default", "podstream-sources"),
        ("default", "podstream-storage"),
        ("team-a", "podstream-session"),
        ("team-a", "podstream-client"),
        ("team-a", "podstream-dials"),
        ("team-a", "podstream-sources"),
        ("team-a", "podstream-storage"),
        ("streams", "podstream-operator"),
        ("streams", "podstream-router"),
    }


@pytest.mark.parametrize("values", VALUES)
def test_policies_can_be_left_to_others(values: str) -> None:
    assert of_kind(render(values, "networkPolicy.enabled=false"), "NetworkPolicy") == []
