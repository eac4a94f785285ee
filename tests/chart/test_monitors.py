"""Monitors and rules are what the Prometheus operator's own CRDs admit."""

import json
from collections.abc import Iterator

import pytest
import yaml

from chart.helm import of_kind, render
from chart.promtool import crd_files
from chart.server import kubectl, submit

KINDS = ("ServiceMonitor", "PodMonitor", "PrometheusRule")


@pytest.fixture(scope="module")
def _monitoring_api(namespace: str) -> Iterator[None]:
    """The CRDs on the real API server; those that were not there before are removed."""
    made = []
    try:
        for file in crd_files():
            name = yaml.safe_load(file.read_text())["metadata"]["name"]
            if not kubectl("get", "crd", name).accepted:
                made.append(name)
                created = kubectl("create", f"--filename={file}")
                assert created.accepted, created.text
            waited = kubectl("wait", "--for=condition=Established", f"crd/{name}")
            assert waited.accepted, waited.text
        yield
    finally:
        for name in made:
            kubectl("delete", "crd", name, "--wait=false")


@pytest.mark.e2e
@pytest.mark.usefixtures("_monitoring_api")
@pytest.mark.parametrize("kind", KINDS)
def test_api_server_admits(namespace: str, kind: str) -> None:
    manifests = of_kind(render("everything"), kind)
    assert manifests
    for manifest in json.loads(json.dumps(manifests)):
        manifest["metadata"]["namespace"] = namespace
        answer = submit(manifest, namespace=namespace)
        assert answer.accepted, answer.text
        stored = json.loads(answer.text)["spec"]
        assert stored == manifest["spec"], "nothing was dropped as unknown"


@pytest.mark.e2e
@pytest.mark.usefixtures("_monitoring_api")
def test_api_server_would_refuse_a_mistake(namespace: str) -> None:
    (rule,) = of_kind(render("everything"), "PrometheusRule")
    broken = json.loads(json.dumps(rule))
    broken["metadata"]["namespace"] = namespace
    broken["spec"]["groups"][0]["rules"][0]["for"] = "five minutes"
    assert not submit(broken, namespace=namespace).accepted
