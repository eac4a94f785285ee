import subprocess

import pytest

from e2e import kube


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/e2e/" in str(item.path):
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session", autouse=True)
def _installed() -> None:
    """The chart runs on the cluster of $KUBECONFIG; says what to do where it does not."""
    try:
        kube.kubectl("rollout", "status", "deploy/podstream-operator", "--timeout=60s")
        kube.kubectl("rollout", "status", "deploy/podstream-router", "--timeout=60s")
    except (kube.Refused, FileNotFoundError, subprocess.TimeoutExpired) as error:
        pytest.fail(f"no podstream on the cluster ({error}); run: make test-e2e")
