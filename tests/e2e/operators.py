"""The operator's replicas as a user sees them: pods, and the Lease that one of them holds."""

from typing import Any

from e2e import kube

LEASE = "podstream-operator"
DEPLOYMENT = "deploy/podstream-operator"
SELECTOR = "app.kubernetes.io/component=operator"


def lease() -> dict[str, Any]:
    """What the Lease says."""
    found = kube.get("lease", LEASE)
    assert found is not None
    spec: dict[str, Any] = found["spec"]
    return spec


def leader() -> str | None:
    """Name of the pod that holds the Lease."""
    holder = lease().get("holderIdentity")
    return holder.rsplit("_", 1)[0] if holder else None


def operators() -> list[dict[str, Any]]:
    return kube.items("pods", selector=SELECTOR)


def restarts() -> dict[str, int]:
    """How often each replica's container was started again."""
    return {
        pod["metadata"]["name"]: sum(
            status["restartCount"] for status in pod["status"].get("containerStatuses", [])
        )
        for pod in operators()
    }
