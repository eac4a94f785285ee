"""A namespace of its own on the real API server, for the checks marked e2e."""

import secrets
from collections.abc import Iterator

import pytest

from chart.helm import ROOT
from chart.server import kubectl


@pytest.fixture(scope="session")
def namespace() -> Iterator[str]:
    """A namespace that admits restricted pods only, with the CRDs in place; removed afterwards."""
    reached = kubectl("version")
    if not reached.accepted:
        pytest.fail(f"no cluster: make cluster-up, or set KUBECONFIG ({reached.text.strip()})")
    crds = kubectl("apply", "--server-side", "--force-conflicts", f"--filename={ROOT}/crds")
    assert crds.accepted, crds.text
    name = f"chart-{secrets.token_hex(3)}"
    assert kubectl("create", "namespace", name).accepted
    try:
        labelled = kubectl(
            "label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted"
        )
        assert labelled.accepted, labelled.text
        waited = kubectl("wait", "--for=condition=Established", "crd/streamsessions.podstream.dev")
        assert waited.accepted, waited.text
        yield name
    finally:
        kubectl("delete", "namespace", name, "--wait=false")
