"""Pools in load tests: made with a unique name, filled, and removed with all their sessions."""

import secrets
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from load.kube import DELETED, Body, Follower, KubeApi, collection, following, pod_marks
from load.site import NAMESPACE
from podstream_core import names

POOLS: Final = collection(names.POOL_PLURAL, namespace=NAMESPACE)
SESSIONS: Final = collection(names.SESSION_PLURAL, namespace=NAMESPACE)
PODS: Final = collection("pods", namespace=NAMESPACE)
_FILL_TIMEOUT_S: Final = 600.0


@dataclass
class Pool:
    """A StreamPool and what its watch shows."""

    name: str
    api: KubeApi
    pools: Follower
    pods: Follower

    @property
    def status(self) -> Body:
        """The pool's status as last seen."""
        found: Body = self.pools.latest.get(self.name, {}).get("status", {})
        return found

    async def filled(self, count: int) -> None:
        """Wait until so many pods are idle, by the pool's status and by the kubelet's probe."""
        await self.pools.wait(
            lambda: self.status.get("warm", 0) >= count and not self.status.get("inUse", 0),
            what=f"{count} idle pods of {self.name}",
            timeout_s=_FILL_TIMEOUT_S,
        )
        await self.pods.wait(
            lambda: self._ready() >= count, what=f"{count} ready pods", timeout_s=_FILL_TIMEOUT_S
        )

    def _ready(self) -> int:
        return sum(
            "Ready" in moments and DELETED not in moments for moments in self.pods.moments.values()
        )

    def origins(self, sessions: Follower, chosen: Iterable[str]) -> dict[str, int]:
        """How many sessions came to their pod warm, and cold."""
        found: dict[str, int] = {}
        for name in chosen:
            pod = sessions.latest[name].get("status", {}).get("pod", {})
            origin = pod.get("origin", "none")
            found[origin] = found.get(origin, 0) + 1
        return found


def _status_marks(body: Body) -> Iterable[str]:
    """Every change is a mark of its own: whoever waits looks again."""
    return (body["metadata"]["resourceVersion"],)


@asynccontextmanager
async def running_pool(
    api: KubeApi, *, spec: dict[str, Any], warm: int, most: int
) -> AsyncIterator[Pool]:
    """A pool; at the end it goes, with its sessions and pods."""
    name = f"bench-{secrets.token_hex(3)}"
    body = {
        "apiVersion": names.API_VERSION,
        "kind": names.POOL_KIND,
        "metadata": {"name": name},
        "spec": {"template": {"spec": spec}, "warm": warm, "max": most},
    }
    selector = f"{names.LABEL_POOL}={name}"
    async with (
        following(api, POOLS, marks=_status_marks) as pools,
        following(api, PODS, marks=pod_marks, selector=selector) as pods,
    ):
        await api.create(POOLS, body)
        try:
            yield Pool(name, api, pools, pods)
        finally:
            await api.delete(f"{POOLS}/{name}")
            await api.delete(f"{SESSIONS}?labelSelector={selector}")
            await pods.wait(
                lambda: all(DELETED in moments for moments in pods.moments.values()),
                what=f"removal of the pods of {name}",
                timeout_s=_FILL_TIMEOUT_S,
            )
