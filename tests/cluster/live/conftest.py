"""Fixtures: the shared cluster with a namespace per test, and a second one to break."""

import uuid
from collections.abc import Iterator

import pytest

from testcluster import state
from testcluster.command import wait_until
from testcluster.driver import Cluster, command_line
from testcluster.instance import Instance, from_environment

OWN_LETTER = "t"


@pytest.fixture(scope="session")
def shared() -> Cluster:
    """The cluster that is up already; tests only add namespaces to it."""
    instance = from_environment()
    if state.load(instance) is None:
        pytest.skip("the embedded cluster is not up: make cluster-up CLUSTER=embedded")
    cluster = Cluster.running(instance)
    loaded = cluster.command("load", "python")
    assert loaded.returncode == 0, loaded.stderr
    return cluster


@pytest.fixture
def cluster(shared: Cluster) -> Iterator[Cluster]:
    """The shared cluster with a namespace of its own."""
    namespace = f"cluster-{uuid.uuid4().hex[:8]}"
    shared.kubectl("create", "namespace", namespace)
    _wait_for_account(shared, namespace)
    yield Cluster(shared.instance, shared.kubectl, namespace)
    shared.kubectl("delete", "namespace", namespace, "--wait=false")


@pytest.fixture
def own() -> Iterator[Instance]:
    """A second instance, down before and after: free to be broken."""
    instance = Instance(letter=OWN_LETTER, cache=from_environment().cache)
    assert command_line(OWN_LETTER, "down").returncode == 0
    yield instance
    done = command_line(OWN_LETTER, "down")
    assert done.returncode == 0, done.stderr


def _wait_for_account(cluster: Cluster, namespace: str) -> None:
    """A pod is refused until its namespace's service account exists."""
    words = ("-n", namespace, "get", "serviceaccount", "default")
    wait_until(lambda: cluster.kubectl.succeeds(*words), what="the service account", timeout_s=10)
