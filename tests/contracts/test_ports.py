"""One table of ports: code, chart and KIND agree."""

from typing import Any

import pytest
import yaml

from contracts.crds import ROOT
from podstream_core.ports import LISTENERS

CHART = ROOT / "helm" / "podstream"


def load(path: str) -> dict[str, Any]:
    body: dict[str, Any] = yaml.safe_load((ROOT / path).read_text())
    return body


def test_kind_maps_every_port() -> None:
    (node,) = load("kind-config.yaml")["nodes"]
    assert node["extraPortMappings"] == [
        {
            "containerPort": listener.node_port,
            "hostPort": listener.host_port,
            "listenAddress": "127.0.0.1",
            "protocol": listener.transport,
        }
        for listener in LISTENERS
    ]


def test_kind_cluster_has_a_fixed_name_and_no_image() -> None:
    config = load("kind-config.yaml")
    assert config["name"] == "podstream"
    assert config["apiVersion"] == "kind.x-k8s.io/v1alpha4"
    assert [node["role"] for node in config["nodes"]] == ["control-plane"]
    assert "image" not in config["nodes"][0]


@pytest.mark.parametrize("values", ["values.yaml", "values-kind.yaml"])
def test_chart_serves_every_port(values: str) -> None:
    router = load(f"helm/podstream/{values}")["router"]
    table = [listener for listener in LISTENERS if listener.protocol != "media"]
    assert router["listeners"] == [
        {
            "name": listener.name,
            "port": listener.port,
            "nodePort": listener.node_port,
            "protocol": listener.protocol,
        }
        for listener in table
    ]
    (media,) = [listener for listener in LISTENERS if listener.protocol == "media"]
    assert (router["media"]["port"], router["media"]["nodePort"]) == (media.port, media.node_port)


def test_kind_values_lead_to_the_mapped_ports() -> None:
    values = load("helm/podstream/values-kind.yaml")
    host_ports = {listener.name: listener.host_port for listener in LISTENERS}
    assert values["externalUrl"] == f"http://127.0.0.1:{host_ports['http']}"
    assert values["externalSignallingAddress"] == f"127.0.0.1:{host_ports['signalling']}"
    assert values["externalGrpcAddress"] == f"127.0.0.1:{host_ports['grpc']}"
    assert values["externalFramesAddress"] == f"127.0.0.1:{host_ports['frames']}"
    assert values["router"]["media"]["advertise"] == [f"127.0.0.1:{host_ports['media']}"]


def test_ports_are_distinct() -> None:
    for transport in ("TCP", "UDP"):
        rows = [listener for listener in LISTENERS if listener.transport == transport]
        for attribute in ("port", "node_port", "host_port"):
            numbers = [getattr(row, attribute) for row in rows]
            assert len(set(numbers)) == len(numbers)


def test_node_ports_are_in_kubernetes_range() -> None:
    assert all(30_000 <= listener.node_port <= 32_767 for listener in LISTENERS)
