"""Each fault of an installation is named, with what to do about it."""

import base64
import copy
import json
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives import serialization

from contracts.crds import ROOT
from kubectl.fake_api import FakeApi, session_body
from podstream_core.tokens import CLIENT_AUDIENCE, SigningKey, TokenType
from podstream_kubectl.access import router_url
from podstream_kubectl.commands.doctor import examine
from podstream_kubectl.doctor import Finding, Installation, Level
from podstream_kubectl.doctor.parts_check import check_parts, check_versions
from podstream_kubectl.errors import Forbidden, Refused

VERSION = "0.1.0"
KEY = SigningKey.generate()
LISTENERS = [
    {"name": "http", "port": 8080, "targetPort": 8080, "protocol": "http"},
    {"name": "frames", "port": 953, "targetPort": 10953, "protocol": "tcp"},
]


class FakeProbes:
    """A network in which everything answers but what `faults` names."""

    def __init__(self, **faults: str) -> None:
        self._faults = faults
        self.asked: list[str] = []

    def http(self, url: str) -> str:
        self.asked.append(url)
        return self._faults.get("http", "")

    def tcp(self, host: str, port: int) -> str:
        self.asked.append(f"{host}:{port}")
        return self._faults.get(f"tcp_{port}", "")


def pem(key: SigningKey) -> str:
    text = key.private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return base64.b64encode(text).decode()


def token_for(uid: str, *, key: SigningKey = KEY, **changes: Any) -> str:
    values = {"audience": CLIENT_AUDIENCE, "subject": uid, "lifetime_s": 600.0, **changes}
    return key.sign(TokenType.CLIENT, **values)


def secret(name: str, **data: str) -> Any:
    return {"kind": "Secret", "metadata": {"name": name, "namespace": "lab"}, "data": data}


def deployment(component: str, environment: dict[str, str]) -> Any:
    labels = {
        "app.kubernetes.io/name": "podstream",
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/version": VERSION,
    }
    container = {
        "name": component,
        "image": f"docker.io/podstream/{component}:{VERSION}",
        "env": [{"name": name, "value": value} for name, value in environment.items()],
    }
    pod = {
        "serviceAccountName": f"podstream-{component}",
        "containers": [container],
        "volumes": [{"name": "keys", "secret": {"secretName": "podstream-keys"}}],
    }
    return {
        "kind": "Deployment",
        "metadata": {"name": f"podstream-{component}", "namespace": "lab", "labels": labels},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app.kubernetes.io/component": component}},
            "template": {"spec": pod},
        },
        "status": {"readyReplicas": 1},
    }


@cache
def established_crds() -> list[Any]:
    crds = []
    for singular in ("streamsession", "streampool"):
        crd = yaml.safe_load((ROOT / f"crds/{singular}.yaml").read_text())
        crd["status"] = {"conditions": [{"type": "Established", "status": "True"}]}
        crds.append(crd)
    return crds


def rights(component: str, rules: list[tuple[str, str, list[str]]]) -> list[Any]:
    name = f"podstream-{component}"
    role = {
        "kind": "Role",
        "metadata": {"name": name, "namespace": "lab"},
        "rules": [
            {"apiGroups": [group], "resources": [resource], "verbs": verbs}
            for group, resource, verbs in rules
        ],
    }
    binding = {
        "kind": "RoleBinding",
        "metadata": {"name": name, "namespace": "lab"},
        "roleRef": {"kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": "lab"}],
    }
    return [role, binding]


def good() -> list[Any]:
    """The objects of an installation without faults, and one session."""
    crds = copy.deepcopy(established_crds())
    session = session_body(phase="Ready", access={"secretName": "ball-access"})
    token = base64.b64encode(token_for("uid-ball").encode()).decode()
    ports = [
        {"name": item["name"], "port": item["port"], "targetPort": item["name"], "nodePort": 30080}
        for item in LISTENERS
    ]
    every = ["get", "list", "watch", "create", "patch", "delete"]
    operator_rules = [
        ("podstream.dev", "streamsessions", ["get", "list", "watch", "delete"]),
        ("podstream.dev", "streamsessions/status", ["patch"]),
        ("podstream.dev", "streampools", ["get", "list", "watch"]),
        ("podstream.dev", "streampools/status", ["patch"]),
        ("", "pods", every),
        ("", "secrets", ["get", "create", "patch", "delete"]),
        ("events.k8s.io", "events", ["create"]),
    ]
    router_rules = [
        ("podstream.dev", "streamsessions", ["get", "list", "watch", "create", "patch"]),
        ("podstream.dev", "streampools", ["get", "list", "watch"]),
        ("", "pods", ["get", "list", "watch"]),
    ]
    return [
        *crds,
        deployment(
            "operator",
            {
                "PODSTREAM_WATCH_NAMESPACES": "lab",
                "PODSTREAM_ROUTER_URL": "http://podstream-router.lab.svc:8080",
                "PODSTREAM_EXTERNAL_URL": "http://127.0.0.1:8080",
                "PODSTREAM_FRAMES_ADDRESS": "127.0.0.1:953",
                "PODSTREAM_FRAMES_CLUSTER_ADDRESS": "podstream-router.lab.svc:953",
            },
        ),
        deployment(
            "router",
            {
                "PODSTREAM_LISTENERS": json.dumps(LISTENERS),
                "PODSTREAM_MEDIA_ADVERTISE": '["127.0.0.1:3478"]',
            },
        ),
        {
            "kind": "Service",
            "metadata": {"name": "podstream-router", "namespace": "lab"},
            "spec": {"type": "NodePort", "ports": ports},
        },
        secret("podstream-keys", **{"assignment.pem": pem(KEY), "client.pem": pem(KEY)}),
        secret("ball-access", token=token),
        session,
        *rights("operator", operator_rules),
        *rights("router", router_rules),
    ]


def findings_of(
    *objects: Any, probes: FakeProbes | None = None, paths: dict[str, Any] | None = None
) -> list[Finding]:
    api = FakeApi(*objects)
    api.paths = paths or {}
    return list(examine(api, probes=probes or FakeProbes()))


def faults_of(*objects: Any, **more: Any) -> list[Finding]:
    return [
        item
        for item in findings_of(*objects, **more)
        if item.level in (Level.BROKEN, Level.WARNING)
    ]


def test_an_installation_in_order_has_no_fault() -> None:
    probes = FakeProbes()
    assert faults_of(*good(), probes=probes) == []
    assert probes.asked == ["http://127.0.0.1:8080", "127.0.0.1:953"]


def _of(objects: list[Any], kind: str, name: str) -> Any:
    for item in objects:
        if item["kind"] == kind and item["metadata"]["name"] == name:
            return item
    raise AssertionError(f"no {kind} {name}")


def _without(objects: list[Any], kind: str, name: str) -> None:
    objects.remove(_of(objects, kind, name))


def no_crd(objects: list[Any]) -> None:
    _without(objects, "CustomResourceDefinition", "streampools.podstream.dev")


def old_crd(objects: list[Any]) -> None:
    crd = _of(objects, "CustomResourceDefinition", "streamsessions.podstream.dev")
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    members = schema["properties"]["spec"]["properties"]
    del members["restartPolicy"]
    del members["circle"]["properties"]["quality"]


def no_router(objects: list[Any]) -> None:
    _without(objects, "Deployment", "podstream-router")


def operator_down(objects: list[Any]) -> None:
    found = _of(objects, "Deployment", "podstream-operator")
    found["status"] = {}
    waiting = {"reason": "ImagePullBackOff"}
    objects.append(
        {
            "kind": "Pod",
            "metadata": {
                "name": "podstream-operator-1",
                "namespace": "lab",
                "labels": {"app.kubernetes.io/component": "operator"},
            },
            "status": {"containerStatuses": [{"state": {"waiting": waiting}, "image": "op:1"}]},
        }
    )


def scaled_down(objects: list[Any]) -> None:
    _of(objects, "Deployment", "podstream-router")["spec"]["replicas"] = 0


def other_target_port(objects: list[Any]) -> None:
    _of(objects, "Service", "podstream-router")["spec"]["ports"][0]["targetPort"] = 9999


def unpublished(objects: list[Any]) -> None:
    _of(objects, "Service", "podstream-router")["spec"]["ports"].pop()


def stale_key(objects: list[Any]) -> None:
    other = token_for("uid-ball", key=SigningKey.generate())
    _of(objects, "Secret", "ball-access")["data"]["token"] = base64.b64encode(
        other.encode()
    ).decode()


def earlier_session(objects: list[Any]) -> None:
    other = token_for("uid-of-an-earlier-one")
    _of(objects, "Secret", "ball-access")["data"]["token"] = base64.b64encode(
        other.encode()
    ).decode()


def expired(objects: list[Any]) -> None:
    old = token_for("uid-ball", now=time.time() - 10_000, lifetime_s=60.0)
    _of(objects, "Secret", "ball-access")["data"]["token"] = base64.b64encode(old.encode()).decode()


def no_secret(objects: list[Any]) -> None:
    _without(objects, "Secret", "ball-access")


def no_keys(objects: list[Any]) -> None:
    _without(objects, "Secret", "podstream-keys")


def broken_key(objects: list[Any]) -> None:
    data = _of(objects, "Secret", "podstream-keys")["data"]
    data["assignment.pem"] = base64.b64encode(b"nothing").decode()


def pool_in_trouble(objects: list[Any]) -> None:
    condition = {"type": "Ready", "status": "False", "reason": "ImagePullBackOff", "message": "no"}
    objects.append(
        {
            "kind": "StreamPool",
            "metadata": {"name": "media", "namespace": "lab", "uid": "uid-media"},
            "spec": {},
            "status": {"conditions": [condition]},
        }
    )


def failures(objects: list[Any]) -> None:
    objects += [
        session_body(f"lost-{number}", phase="Failed", reason="PodLost") for number in range(3)
    ]
    objects.append(session_body("crashed", phase="Failed", reason="WorkloadCrashed"))


def no_binding(objects: list[Any]) -> None:
    _without(objects, "RoleBinding", "podstream-router")


def lesser_role(objects: list[Any]) -> None:
    _of(objects, "Role", "podstream-operator")["rules"][4]["verbs"].remove("patch")


@pytest.mark.parametrize(
    ("breaking", "check", "says", "fix"),
    [
        pytest.param(no_crd, "CRD streampools", "missing", "apply --server-side", id="no CRD"),
        pytest.param(
            old_crd, "CRD streamsessions", "lacks restartPolicy, circle.quality", "crds/",
            id="old CRD",
        ),
        pytest.param(no_router, "router", "no router", "helm upgrade", id="no router"),
        pytest.param(
            operator_down, "operator", "0 of 1 Ready: ImagePullBackOff (op:1)", "describe pod",
            id="operator down",
        ),
        pytest.param(scaled_down, "router", "scaled to zero", "--replicas=1", id="scaled down"),
        pytest.param(
            other_target_port, "Service podstream-router", "broken port mapping", "helm upgrade",
            id="wrong target port",
        ),
        pytest.param(
            unpublished, "Service podstream-router", "port 953 of listener frames", "helm upgrade",
            id="unpublished port",
        ),
        pytest.param(stale_key, "token of lab/ball", "stale token", "delete secret", id="old key"),
        pytest.param(
            earlier_session, "token of lab/ball", "earlier session", "delete secret",
            id="earlier session",
        ),
        pytest.param(expired, "token of lab/ball", "expired", "delete secret", id="expired"),
        pytest.param(
            no_secret, "token of lab/ball", "is missing", "makes it anew", id="no secret"
        ),
        pytest.param(
            pool_in_trouble, "pool lab/media", "not Ready: ImagePullBackOff: no", "describe",
            id="pool in trouble",
        ),
        pytest.param(failures, "sessions in lab", "3 failed with PodLost", "logs", id="failures"),
        pytest.param(no_keys, "Secret podstream-keys", "missing", "helm upgrade", id="no keys"),
        pytest.param(
            broken_key, "Secret podstream-keys", "assignment.pem is no key", "openssl",
            id="broken key",
        ),
        pytest.param(
            no_binding, "RBAC of the router", "create, patch streamsessions in lab", "helm",
            id="no binding",
        ),
        pytest.param(
            lesser_role, "RBAC of the operator", "patch pods in lab", "helm", id="lesser role"
        ),
    ],
)  # fmt: skip
def test_each_fault_is_named_with_its_fix(
    breaking: Callable[[list[Any]], None], check: str, says: str, fix: str
) -> None:
    objects = copy.deepcopy(good())
    breaking(objects)
    found = faults_of(*objects)
    (named,) = [item for item in found if item.check.startswith(check)]
    assert says in named.message
    assert fix in named.fix
    assert len(found) == 1, found


def test_a_port_mapping_that_leads_nowhere_is_told_from_a_router_that_is_down() -> None:
    page = Refused("kubectl get answered no JSON: podstream router")
    (found,) = faults_of(
        *good(),
        probes=FakeProbes(http="Connection refused"),
        paths={"/api/v1/namespaces/lab/services/podstream-router:http/proxy/": page},
    )
    assert found.check == "HTTP at http://127.0.0.1:8080"
    assert "broken port mapping: Connection refused" in found.message
    assert "inside the cluster the router answers" in found.message
    assert "127.0.0.1:8080 must lead to node port 30080" in found.fix
    (found,) = faults_of(*good(), probes=FakeProbes(tcp_953="Connection refused"))
    assert found.check == "tcp at 127.0.0.1:953"


def test_a_session_that_is_being_deleted_has_no_stale_token() -> None:
    """Its Secret may go first."""
    objects = copy.deepcopy(good())
    _without(objects, "Secret", "ball-access")
    session = _of(objects, "StreamSession", "ball")
    session["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert faults_of(*objects) == []


def test_what_may_not_be_read_costs_only_itself() -> None:
    api = FakeApi(*good())
    denied = Forbidden("Error from server (Forbidden): no")
    api.faults = {"get customresourcedefinition": [denied, denied], "get rolebindings": [denied]}
    found = list(examine(api, probes=FakeProbes()))
    assert [item for item in found if item.level is Level.BROKEN] == []
    assert {item.check for item in found if item.level is Level.UNKNOWN} >= {
        "CRD streamsessions.podstream.dev",
        "RBAC of the operator",
    }
    assert any(item.check == "tokens" and item.level is Level.OK for item in found)


def test_service_that_may_not_be_read_is_unknown_not_broken() -> None:
    api = FakeApi(*good())
    api.faults = {"get service": [Forbidden("no")]}
    (found,) = [item for item in examine(api, probes=FakeProbes()) if item.check == "reach"]
    assert found.level is Level.UNKNOWN


def test_nothing_but_the_crds_is_seen_where_deployments_may_not_be_read() -> None:
    api = FakeApi(*good())
    api.faults = {"get deployments": [Forbidden("no"), Forbidden("no")]}
    *crds, last = examine(api, probes=FakeProbes())
    assert {item.level for item in crds} == {Level.OK}
    assert (last.check, last.level) == ("operator and router", Level.UNKNOWN)


def test_parts_may_be_in_namespaces_that_may_not_be_read() -> None:
    findings = list(check_parts(FakeApi(), Installation("lab", is_partial=True)))
    assert [item.level for item in findings] == [Level.UNKNOWN, Level.UNKNOWN]
    assert "-n" in findings[0].fix


def test_images_named_by_digest_are_not_compared() -> None:
    parts = {}
    for component, digest in (("operator", "aa"), ("router", "bb")):
        parts[component] = deployment(component, {})
        container = parts[component]["spec"]["template"]["spec"]["containers"][0]
        container["image"] = f"podstream/{component}@sha256:{digest}"
    (found,) = check_versions(Installation("lab", **parts), own="0.1.0")
    assert found.level is Level.OK


def test_an_address_for_pods_only_is_none_for_people() -> None:
    operator = deployment(
        "operator",
        {
            "PODSTREAM_ROUTER_URL": "http://podstream-router.lab.svc:8080",
            "PODSTREAM_EXTERNAL_URL": "http://podstream-router.lab.svc:8080",
        },
    )
    with pytest.raises(Refused, match="--url"):
        router_url(FakeApi(operator))
    assert router_url(FakeApi(operator), given="http://lab.example/") == "http://lab.example"
    assert router_url(FakeApi(*good())) == "http://127.0.0.1:8080"


def test_versions_that_differ_are_a_warning() -> None:
    operator, router = deployment("operator", {}), deployment("router", {})
    router["spec"]["template"]["spec"]["containers"][0]["image"] = "podstream/router:0.0.9"
    installation = Installation("lab", operator=operator, router=router)
    messages = [item.message for item in check_versions(installation, own="0.2.0")]
    assert messages == [
        "the images differ: operator 0.1.0, router 0.0.9",
        "the cluster has 0.1.0, this plugin is 0.2.0",
    ]
