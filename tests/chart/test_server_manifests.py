"""The real API server accepts every manifest of the chart, and admits its pods as restricted."""

import pytest

from chart.helm import VALUES, of_kind, pods, render
from chart.server import submit

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("values", VALUES)
def test_manifests_of_the_chart_are_accepted(namespace: str, values: str) -> None:
    """Everything but the objects of namespaces that are not there, and of CRDs of others."""
    for manifest in render(values, "watchNamespaces=[]"):
        if manifest["apiVersion"].startswith("monitoring.coreos.com/"):
            continue
        metadata = manifest["metadata"]
        if "namespace" in metadata:
            metadata["namespace"] = namespace
        if manifest["kind"] == "Pod":
            manifest["spec"]["serviceAccountName"] = "default"
        if manifest["kind"] == "Service":
            for port in manifest["spec"]["ports"]:
                # A dry run also allocates node ports, which an installed release may hold.
                port.pop("nodePort", None)
        answer = submit(manifest, namespace=namespace)
        assert answer.accepted, f"{manifest['kind']}/{metadata['name']}: {answer.text}"


@pytest.mark.parametrize("values", VALUES)
def test_pods_of_the_chart_are_admitted_as_restricted(namespace: str, values: str) -> None:
    """A Deployment is only warned about; a Pod is refused by the namespace's standard."""
    for name, spec in pods(render(values)).items():
        # Service account and priority class are other objects, which a dry run does not make.
        alone = {key: value for key, value in spec.items() if key != "priorityClassName"}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name},
            "spec": alone | {"serviceAccountName": "default"},
        }
        answer = submit(pod, namespace=namespace)
        assert answer.accepted, answer.text


def test_restricted_check_can_fail(namespace: str) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "open"},
        "spec": {"containers": [{"name": "a", "image": "b"}]},
    }
    answer = submit(pod, namespace=namespace)
    assert not answer.accepted
    assert 'violates PodSecurity "restricted:latest"' in answer.text


def test_rendered_kinds_were_all_submitted() -> None:
    """The list that the test above covers, so that a new kind is a decision."""
    kinds = {manifest["kind"] for manifest in render("everything")}
    assert kinds - {"ServiceMonitor", "PodMonitor", "PrometheusRule"} == {
        "ClusterRole",
        "ClusterRoleBinding",
        "ConfigMap",
        "Deployment",
        "NetworkPolicy",
        "Pod",
        "PodDisruptionBudget",
        "Role",
        "RoleBinding",
        "Secret",
        "Service",
        "ServiceAccount",
    }
    assert of_kind(render("everything"), "PodDisruptionBudget")
