"""Every pod of the chart is restricted, bounded and probed."""

from typing import Any

import pytest

from chart.helm import VALUES, of_kind, one, pods, render

ALIAS = ("server-signal-service", "podstream-router")
"""A Service under a name that existing clients look for, and who answers there."""

every_set = pytest.mark.parametrize("values", VALUES)


@every_set
def test_pods_meet_the_restricted_standard(values: str) -> None:
    found = pods(render(values))
    assert sorted(found) == ["podstream-operator", "podstream-router", "podstream-test"]
    for name, pod in found.items():
        assert pod["securityContext"] == {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "fsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        }, name
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name
            assert not [port for port in container.get("ports", []) if "hostPort" in port]
        assert not pod.keys() & {"hostNetwork", "hostPID", "hostIPC"}
        kinds = {key for volume in pod["volumes"] for key in volume} - {"name"}
        assert kinds <= {"secret", "emptyDir"}


@every_set
def test_resources_are_bounded(values: str) -> None:
    for name, pod in pods(render(values)).items():
        for container in pod["containers"]:
            resources = container["resources"]
            assert resources["requests"].keys() == {"cpu", "memory", "ephemeral-storage"}, name
            assert resources["limits"].keys() >= {"memory", "ephemeral-storage"}, name
        for volume in pod["volumes"]:
            if "emptyDir" in volume:
                assert "sizeLimit" in volume["emptyDir"], name


@every_set
@pytest.mark.parametrize(
    ("name", "port"), [("podstream-operator", "http"), ("podstream-router", "admin")]
)
def test_probes_are_distinct(values: str, name: str, port: str) -> None:
    (container,) = pods(render(values))[name]["containers"]
    paths = {
        probe: container[probe]["httpGet"]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe")
    }
    assert paths == {
        "startupProbe": {"path": "/healthz", "port": port},
        "livenessProbe": {"path": "/healthz", "port": port},
        "readinessProbe": {"path": "/readyz", "port": port},
    }
    assert port in {item["name"] for item in container["ports"]}


@every_set
def test_no_service_links(values: str) -> None:
    """Variables such as PODSTREAM_ROUTER_PORT=tcp://... would look like settings."""
    assert all(pod["enableServiceLinks"] is False for pod in pods(render(values)).values())


@every_set
def test_rollouts_start_the_new_before_the_old_ends(values: str) -> None:
    for deployment in of_kind(render(values), "Deployment"):
        assert deployment["spec"]["strategy"] == {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
        }


@every_set
def test_selectors_find_their_pods_only(values: str) -> None:
    manifests = render(values)
    labels = {
        item["metadata"]["name"]: item["spec"]["template"]["metadata"]["labels"]
        for item in of_kind(manifests, "Deployment")
    }

    def selected(selector: dict[str, str]) -> list[str]:
        return [name for name, have in labels.items() if selector.items() <= have.items()]

    for deployment in of_kind(manifests, "Deployment"):
        name = deployment["metadata"]["name"]
        assert selected(deployment["spec"]["selector"]["matchLabels"]) == [name]
    for service in of_kind(manifests, "Service"):
        (owner,) = selected(service["spec"]["selector"])
        name = service["metadata"]["name"]
        assert name.startswith(owner) or (name, owner) == ALIAS


def test_extras_reach_the_pod() -> None:
    manifests = render("everything")
    template = one(manifests, "Deployment", "podstream-operator")["spec"]["template"]
    (container,) = template["spec"]["containers"]
    assert template["metadata"]["labels"]["team"] == "media"
    assert template["metadata"]["annotations"] == {"note": "kept"}
    assert template["spec"]["priorityClassName"] == "system-cluster-critical"
    assert template["spec"]["imagePullSecrets"] == [{"name": "registry"}]
    assert container["args"] == ["--verbose"]
    assert {"name": "PODSTREAM_WORKERS", "value": "32"} in container["env"]
    router = pods(manifests)["podstream-router"]
    assert router["tolerations"] == [{"key": "edge", "operator": "Exists"}]
    assert "nodeAffinity" in router["affinity"]


def test_pod_labels_cannot_redirect_a_service() -> None:
    manifests = render("default", 'router.podLabels={"app.kubernetes.io/component":"operator"}')
    labels = one(manifests, "Deployment", "podstream-router")["spec"]["template"]["metadata"]
    assert labels["labels"]["app.kubernetes.io/component"] == "router"


@pytest.mark.parametrize(
    ("settings", "image"),
    [
        pytest.param((), "docker.io/podstream/router:0.1.0", id="version-of-the-chart"),
        pytest.param(('router.image.tag="1.2"',), "docker.io/podstream/router:1.2", id="tag"),
        pytest.param(
            ('router.image.tag="1.2"', f'router.image.digest="sha256:{"b" * 64}"'),
            f"docker.io/podstream/router@sha256:{'b' * 64}",
            id="digest-wins",
        ),
    ],
)
def test_image(settings: tuple[str, ...], image: str) -> None:
    (container,) = pods(render("default", *settings))["podstream-router"]["containers"]
    assert container["image"] == image


def test_kind_router_runs_on_the_mapped_node() -> None:
    router = pods(render("kind"))["podstream-router"]
    assert router["nodeSelector"] == {"node-role.kubernetes.io/control-plane": ""}


def test_router_gets_time_to_drain() -> None:
    router: dict[str, Any] = pods(render("default", "router.drainSeconds=45"))["podstream-router"]
    assert router["terminationGracePeriodSeconds"] == 55


both = pytest.mark.parametrize("component", ["operator", "router"])


@both
def test_second_replica_brings_a_disruption_budget(component: str) -> None:
    assert of_kind(render("default"), "PodDisruptionBudget") == []
    manifests = render("default", f"{component}.replicas=2")
    (budget,) = of_kind(manifests, "PodDisruptionBudget")
    deployment = one(manifests, "Deployment", f"podstream-{component}")
    assert deployment["spec"]["replicas"] == 2
    assert budget["spec"] == {"maxUnavailable": 1, "selector": deployment["spec"]["selector"]}


@both
def test_replicas_are_spread_over_nodes(component: str) -> None:
    manifests = render("default")
    deployment = one(manifests, "Deployment", f"podstream-{component}")["spec"]
    assert deployment["template"]["spec"]["topologySpreadConstraints"] == [
        {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": deployment["selector"],
        }
    ]


@both
def test_placement_can_be_chosen(component: str) -> None:
    own = '[{"maxSkew":2,"topologyKey":"zone","whenUnsatisfiable":"DoNotSchedule"}]'
    manifests = render(
        "default",
        f"{component}.topologySpreadConstraints={own}",
        f'{component}.priorityClassName="high"',
    )
    pod = pods(manifests)[f"podstream-{component}"]
    assert [item["topologyKey"] for item in pod["topologySpreadConstraints"]] == ["zone"]
    assert pod["priorityClassName"] == "high"
