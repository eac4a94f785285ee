"""Does a client on this machine reach the router: Service, port mapping, addresses?"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from podstream_kubectl.doctor.findings import Finding, broken, ok, unknown, warning
from podstream_kubectl.doctor.probes import Probes
from podstream_kubectl.errors import NotFound, Refused
from podstream_kubectl.installation import Installation
from podstream_kubectl.kubectl import Api, Body

_TCP: Final = (
    ("signalling", "PODSTREAM_SIGNALLING_ADDRESS", "externalSignallingAddress"),
    ("grpc", "PODSTREAM_GRPC_ADDRESS", "externalGrpcAddress"),
    ("tcp", "PODSTREAM_FRAMES_ADDRESS", "externalFramesAddress"),
)
"""Protocol of the listener, the operator's variable, the chart's value."""


def check_reach(api: Api, installation: Installation, *, probes: Probes) -> Iterator[Finding]:
    """Try the addresses that status.endpoints names, from outside."""
    if installation.router is None:
        return
    name, namespace = installation.router["metadata"]["name"], installation.namespace
    try:
        service = api.get("service", name, f"-n={namespace}", cluster_wide=True)
    except NotFound as error:
        yield broken(f"Service {name}", str(error), "helm upgrade --install makes it anew")
        return
    listeners = _listeners(installation)
    yield _mapping_of_listeners(service, listeners=listeners)
    yield from _http(api, installation, service=service, probes=probes)
    yield from _tcp(installation, service=service, listeners=listeners, probes=probes)
    yield _media(installation)


def _listeners(installation: Installation) -> list[Mapping[str, Any]]:
    text = installation.environment("router").get("PODSTREAM_LISTENERS", "")
    try:
        return [item for item in json.loads(text or "[]") if isinstance(item, dict)]
    except json.JSONDecodeError:
        return []


def _mapping_of_listeners(service: Body, *, listeners: list[Mapping[str, Any]]) -> Finding:
    """Every listener of the router has a port of the Service that leads to it."""
    check = f"Service {service['metadata']['name']}"
    ports = {port.get("name"): port for port in service["spec"].get("ports") or []}
    for listener in listeners:
        port = ports.get(listener.get("name"))
        if port is None or port.get("port") != listener.get("port"):
            return broken(
                check,
                f"broken port mapping: port {listener.get('port')} of listener "
                f"{listener.get('name')} is not published",
                "helm upgrade --reuse-values puts the Service back as router.listeners says",
            )
        if port.get("targetPort") not in (listener.get("name"), listener.get("targetPort")):
            return broken(
                check,
                f"broken port mapping: port {port['port']} leads to {port.get('targetPort')}, not "
                f"to listener {listener.get('name')}",
                "helm upgrade --reuse-values puts the Service back as router.listeners says",
            )
    return ok(check, f"{service['spec'].get('type')}, {len(listeners)} listeners published")


def _http(
    api: Api, installation: Installation, *, service: Body, probes: Probes
) -> Iterator[Finding]:
    url = installation.external_url
    if not url:
        yield warning(
            "external address",
            "externalUrl is not set: only pods of the cluster reach sessions",
            "set externalUrl and router.media.advertise to what your clients reach",
        )
        return
    check = f"HTTP at {url}"
    problem = probes.http(url)
    if not problem:
        yield ok(check, "the router answers")
        return
    yield broken(
        check,
        f"broken port mapping: {problem}{_inside(api, service)}",
        _mapping_fix(service, port_name="http", address=urlsplit(url).netloc),
    )


def _inside(api: Api, service: Body) -> str:
    """Whether the router answers to the API server: then the fault lies between it and us."""
    meta = service["metadata"]
    path = f"/api/v1/namespaces/{meta['namespace']}/services/{meta['name']}:http/proxy/"
    try:
        api.raw(path)
    except Refused as error:
        # Its page is text, which is no JSON.
        if "podstream router" in str(error):
            return "; inside the cluster the router answers"
    return ""


def _mapping_fix(service: Body, *, port_name: str, address: str) -> str:
    """Where the way from the address to the router can be broken, by the Service's kind."""
    kind = service["spec"].get("type")
    ports = {port.get("name"): port for port in service["spec"].get("ports") or []}
    port = ports.get(port_name) or {}
    if kind == "NodePort":
        return (
            f"{address} must lead to node port {port.get('nodePort')} of a node that runs a router"
            "; for KIND compare extraPortMappings of kind-config.yaml with the nodePort of "
            "router.listeners (a mapping cannot be added later: make the cluster anew)"
        )
    if kind == "LoadBalancer":
        found = (service.get("status") or {}).get("loadBalancer", {}).get("ingress")
        return (
            f"the load balancer is at {json.dumps(found)}: point externalUrl there"
            if found
            else "the load balancer has no address yet: does the cluster have a controller for it?"
        )
    return (
        f"a ClusterIP Service is not reachable from here: kubectl -n "
        f"{service['metadata']['namespace']} port-forward service/{service['metadata']['name']} "
        f"{port.get('port')}, or router.service.type=NodePort"
    )


def _tcp(
    installation: Installation,
    *,
    service: Body,
    listeners: list[Mapping[str, Any]],
    probes: Probes,
) -> Iterator[Finding]:
    environment = installation.environment("operator")
    for protocol, variable, value in _TCP:
        address = environment.get(variable, "")
        inside = environment.get(variable.replace("_ADDRESS", "_CLUSTER_ADDRESS"), "")
        if not address or address == inside:
            continue
        host, _, port = address.rpartition(":")
        check = f"{protocol} at {address}"
        try:
            problem = probes.tcp(host.strip("[]"), int(port))
        except ValueError:
            yield broken(check, f"{address} is no host:port", f"correct the chart's {value}")
            continue
        name = next((item["name"] for item in listeners if item.get("protocol") == protocol), "")
        if problem:
            fix = _mapping_fix(service, port_name=name, address=address)
            yield broken(check, f"broken port mapping: {problem}", fix)
        else:
            yield ok(check, "accepts connections")


def _media(installation: Installation) -> Finding:
    """UDP says nothing to strangers: only what is advertised can be looked at."""
    environment = installation.environment("router")
    text = environment.get("PODSTREAM_MEDIA_ADVERTISE", "")
    try:
        addresses = [str(item) for item in json.loads(text or "[]")]
    except json.JSONDecodeError:
        addresses = []
    outside = [item for item in addresses if ".svc:" not in item]
    if not outside:
        return warning(
            "media address",
            "no address outside the cluster is advertised: only pods can play",
            "set router.media.advertise to the host:port that leads to the router's UDP port",
        )
    return unknown("media address", f"{', '.join(outside)} (UDP: helm test shows that media flows)")
