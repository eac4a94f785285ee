"""Ports, addresses and environment that the parts are given."""

import json

import pytest

from chart.helm import VALUES, HelmRefused, environment, of_kind, one, pods, render
from podstream_core.ports import LISTENERS, OPERATOR_HTTP_PORT, ROUTER_ADMIN_PORT

every_set = pytest.mark.parametrize("values", VALUES)


def test_router_service_follows_the_table() -> None:
    spec = one(render("kind"), "Service", "podstream-router")["spec"]
    assert (spec["type"], spec["externalTrafficPolicy"]) == ("NodePort", "Local")
    assert spec["ports"] == [
        {
            "name": row.name,
            "port": row.port,
            "targetPort": row.name,
            "protocol": row.transport,
            "nodePort": row.node_port,
        }
        for row in LISTENERS
    ]


def test_cluster_ip_service_asks_for_no_node_ports() -> None:
    manifests = render("default", 'router.service.type="ClusterIP"')
    spec = one(manifests, "Service", "podstream-router")["spec"]
    assert "externalTrafficPolicy" not in spec
    assert not [port for port in spec["ports"] if "nodePort" in port]


def test_load_balancer_options() -> None:
    service = one(render("everything"), "Service", "podstream-router")
    assert service["metadata"]["annotations"] == {"example.org/pool": "public"}
    spec = service["spec"]
    assert spec["type"] == "LoadBalancer"
    assert spec["loadBalancerClass"] == "example.org/udp"
    assert spec["loadBalancerSourceRanges"] == ["192.0.2.0/24"]
    assert not [port for port in spec["ports"] if "nodePort" in port], "0: Kubernetes chooses"


@every_set
def test_services_point_at_named_ports(values: str) -> None:
    manifests = render(values)
    names = {
        port["name"]
        for pod in pods(manifests).values()
        for container in pod["containers"]
        for port in container.get("ports", [])
    }
    for service in of_kind(manifests, "Service"):
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= names


@every_set
def test_router_listens_where_its_ports_say(values: str) -> None:
    manifests = render(values)
    env = environment(manifests, "podstream-router")
    (container,) = pods(manifests)["podstream-router"]["containers"]
    declared = {port["name"]: port["containerPort"] for port in container["ports"]}
    told = {item["name"]: item["targetPort"] for item in json.loads(env["PODSTREAM_LISTENERS"])}
    told |= {
        "media": int(env["PODSTREAM_MEDIA_PORT"]),
        "admin": int(env["PODSTREAM_ADMIN_PORT"]),
    }
    assert declared == told
    assert min(declared.values()) >= 1024, "the router has no capability for privileged ports"
    assert declared["admin"] == ROUTER_ADMIN_PORT


@every_set
def test_no_variable_is_set_twice(values: str) -> None:
    """Helm applies server-side, which refuses a list with one key twice."""
    for pod in pods(render(values)).values():
        for container in pod["containers"]:
            names = [item["name"] for item in container.get("env", [])]
            assert len(set(names)) == len(names)


def test_kind_environment() -> None:
    manifests = render("kind")
    operator = environment(manifests, "podstream-operator")
    router = environment(manifests, "podstream-router")
    assert operator == {
        "PODSTREAM_WATCH_NAMESPACES": "streams",
        "PODSTREAM_KEYS_DIR": "/etc/podstream/keys",
        "PODSTREAM_LOG_LEVEL": "info",
        "PODSTREAM_LOG_FORMAT": "json",
        "PODSTREAM_HTTP_PORT": str(OPERATOR_HTTP_PORT),
        "PODSTREAM_SESSION_IMAGE": "docker.io/podstream/session:0.1.0",
        "PODSTREAM_TRACKING_IMAGE": "docker.io/podstream/session-tracking:0.1.0",
        "PODSTREAM_SESSION_IMAGE_PULL_POLICY": "IfNotPresent",
        "PODSTREAM_SESSION_RESOURCES": operator["PODSTREAM_SESSION_RESOURCES"],
        "PODSTREAM_ROUTER_URL": "http://podstream-router.streams.svc:8080",
        "PODSTREAM_EXTERNAL_URL": "http://127.0.0.1:8080",
        "PODSTREAM_SIGNALLING_ADDRESS": "127.0.0.1:50052",
        "PODSTREAM_SIGNALLING_CLUSTER_ADDRESS": "podstream-router.streams.svc:50052",
        "PODSTREAM_GRPC_ADDRESS": "127.0.0.1:50051",
        "PODSTREAM_GRPC_CLUSTER_ADDRESS": "podstream-router.streams.svc:50051",
        "PODSTREAM_FRAMES_ADDRESS": "127.0.0.1:953",
        "PODSTREAM_FRAMES_CLUSTER_ADDRESS": "podstream-router.streams.svc:953",
        "PODSTREAM_RESYNC_SECONDS": "60",
        "PODSTREAM_POOL_MAX_STARTING": "10",
        "PODSTREAM_MAX_SESSIONS_PER_NAMESPACE": "0",
        "PODSTREAM_LEASE_NAME": "podstream-operator",
    }
    assert json.loads(operator["PODSTREAM_SESSION_RESOURCES"]).keys() == {"requests", "limits"}
    assert json.loads(router["PODSTREAM_MEDIA_ADVERTISE"]) == [
        "127.0.0.1:3478",
        "podstream-router.streams.svc:3478",
    ]
    assert router["PODSTREAM_OPERATOR_URL"] == (
        "http://podstream-operator-replicas.streams.svc:8081"
    )


def test_routers_reach_every_replica_of_the_operator() -> None:
    """By DNS records of the pods themselves: only one of them listens to what routers say."""
    service = one(render("default"), "Service", "podstream-operator-replicas")["spec"]
    assert service["clusterIP"] == "None"
    assert [port["port"] for port in service["ports"]] == [8081]


def test_embedded_addresses_are_node_ports() -> None:
    manifests = render("embedded")
    operator = environment(manifests, "podstream-operator")
    router = environment(manifests, "podstream-router")
    by_name = {row.name: row.node_port for row in LISTENERS}
    assert operator["PODSTREAM_EXTERNAL_URL"] == f"http://10.89.0.2:{by_name['http']}"
    assert operator["PODSTREAM_SIGNALLING_ADDRESS"] == f"10.89.0.2:{by_name['signalling']}"
    assert operator["PODSTREAM_GRPC_ADDRESS"] == f"10.89.0.2:{by_name['grpc']}"
    advertised = json.loads(router["PODSTREAM_MEDIA_ADVERTISE"])
    assert advertised[0] == f"10.89.0.2:{by_name['media']}"


def test_without_external_addresses_the_service_is_named() -> None:
    manifests = render("default")
    operator = environment(manifests, "podstream-operator")
    assert operator["PODSTREAM_EXTERNAL_URL"] == operator["PODSTREAM_ROUTER_URL"]
    assert (
        operator["PODSTREAM_SIGNALLING_ADDRESS"] == operator["PODSTREAM_SIGNALLING_CLUSTER_ADDRESS"]
    )
    assert operator["PODSTREAM_GRPC_ADDRESS"] == operator["PODSTREAM_GRPC_CLUSTER_ADDRESS"]


def test_without_a_listener_no_address_is_promised() -> None:
    settings = 'router.listeners=[{"name":"http","port":8080,"protocol":"http"}]'
    operator = environment(render("default", settings), "podstream-operator")
    absent = ("SIGNALLING", "GRPC", "FRAMES")
    assert not [name for name in operator if any(word in name for word in absent)]


def test_release_name_is_the_prefix() -> None:
    manifests = render("default", 'fullnameOverride="media"')
    assert {item["metadata"]["name"] for item in of_kind(manifests, "Deployment")} == {
        "media-operator",
        "media-router",
    }
    operator = environment(manifests, "media-operator")
    assert operator["PODSTREAM_ROUTER_URL"] == "http://media-router.streams.svc:8080"


def test_aliases_lead_to_their_listeners() -> None:
    service = one(render("everything"), "Service", "server-signal-service")
    assert service["spec"]["ports"] == [
        {"name": "signalling", "port": 50051, "targetPort": "signalling", "protocol": "TCP"}
    ]


def test_an_alias_of_no_listener_is_refused() -> None:
    with pytest.raises(HelmRefused, match=r"router\.aliases: old leads to listener nowhere"):
        render("default", 'router.aliases=[{"name":"old","port":1,"listener":"nowhere"}]')


@every_set
def test_replicas_find_each_other_also_while_they_start_and_stop(values: str) -> None:
    manifests = render(values)
    router = one(manifests, "Deployment", "podstream-router")
    host, _, port = environment(manifests, "podstream-router")["PODSTREAM_PEERS"].rpartition(":")
    name, namespace, _ = host.split(".")
    service = one(manifests, "Service", name)
    assert service["metadata"]["namespace"] == namespace
    spec = service["spec"]
    assert (spec["clusterIP"], spec["publishNotReadyAddresses"]) == ("None", True)
    assert spec["selector"] == router["spec"]["selector"]["matchLabels"]
    assert int(port) == ROUTER_ADMIN_PORT
