"""Pods by UID, owner, pool and ICE digest."""

from collections.abc import Callable, Collection

from podstream_core.api import PoolKey
from podstream_core.ufrag import pod_digest
from podstream_router.routes.index import Index
from podstream_router.routes.values import PodRoute, SessionRoute


class Pods:
    """Session pods that have not ended."""

    def __init__(self, *, on_gone: Callable[[PodRoute], None]) -> None:
        """`on_gone` is told of every running pod that can no longer be reached as it was."""
        self._on_gone = on_gone
        self._pods: dict[str, PodRoute] = {}
        self._by_owner: Index[str, str, PodRoute] = Index()
        self._by_pool: Index[PoolKey, str, PodRoute] = Index()
        self._by_digest: dict[str, PodRoute] = {}

    @property
    def running(self) -> int:
        """Pods that connections can be tried at."""
        return len(self._by_digest)

    def get(self, uid: str) -> PodRoute | None:
        """The pod with this UID, if it runs."""
        pod = self._pods.get(uid)
        return pod if pod is not None and pod.running else None

    def by_digest(self, digest: str) -> PodRoute | None:
        """The running pod that an ICE user name fragment names."""
        return self._by_digest.get(digest)

    def of_pool(self, pool: PoolKey) -> Collection[PodRoute]:
        """All pods that were started for a pool."""
        return self._by_pool.get(pool).values()

    def of_owner(self, uid: str) -> Collection[PodRoute]:
        """All pods of a controller."""
        return self._by_owner.get(uid).values()

    def of_session(self, session: SessionRoute) -> PodRoute | None:
        """The newest running pod of a session.

        Its own; else, while the operator has not adopted it yet, the one that a router has
        assigned to it.
        """
        own = [pod for pod in self._by_owner.get(session.uid).values() if pod.running]
        if own or session.assigned is None:
            return max(own, key=lambda pod: (pod.created, pod.name), default=None)
        pod = self.get(session.assigned.pod_uid)
        if pod is None or pod.namespace != session.key.namespace:
            return None
        return pod if pod.session in (None, session.key) else None

    def uids_in(self, namespace: str | None) -> list[str]:
        """Pods of a namespace, or of all."""
        return [pod.uid for pod in self._pods.values() if namespace in (None, pod.namespace)]

    def put(self, pod: PodRoute) -> PodRoute | None:
        """Add or replace a pod; return the one before it.

        An adopted pod is the same pod under another owner: its media flows go on. One that has
        stopped or moved to another address has left.
        """
        old = self._pods.get(pod.uid)
        if old is not None:
            self._unindex(old)
        self._pods[pod.uid] = pod
        self._by_owner.put([pod.owner_uid], pod.uid, pod)
        if pod.pool_key:
            self._by_pool.put([pod.pool_key], pod.uid, pod)
        if pod.running:
            self._by_digest[pod_digest(pod.uid)] = pod
        if old is not None and old.running and (old.ip != pod.ip or not pod.running):
            self._on_gone(old)
        return old

    def drop(self, uid: str) -> PodRoute | None:
        """Forget a pod; return it."""
        pod = self._pods.pop(uid, None)
        if pod is not None:
            self._unindex(pod)
            if pod.running:
                self._on_gone(pod)
        return pod

    def _unindex(self, pod: PodRoute) -> None:
        self._by_owner.drop([pod.owner_uid], pod.uid)
        if pod.pool_key:
            self._by_pool.drop([pod.pool_key], pod.uid)
        self._by_digest.pop(pod_digest(pod.uid), None)
