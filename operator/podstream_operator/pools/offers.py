"""What do the pools have for a session that has no pod?"""

from podstream_core.api import PoolKey, StreamPool, StreamSession
from podstream_core.assignment import AssignedPod
from podstream_operator.cluster import Cache
from podstream_operator.facts import NO_OFFER, Offer, PodFacts, is_idle
from podstream_operator.pools.capacity import Capacity
from podstream_operator.pools.view import WarmView
from podstream_operator.resources import SessionImage, pod_shape
from podstream_operator.status import ending_of


class Offers:
    """Reads cache and agents' words for one session at a time."""

    def __init__(
        self,
        *,
        cache: Cache,
        warm: WarmView,
        image: SessionImage,
        capacity: Capacity,
        max_sessions_per_namespace: int,
    ) -> None:
        self._cache = cache
        self._warm = warm
        self._image = image
        self._capacity = capacity
        self._quota = max_sessions_per_namespace

    def offer(self, session: StreamSession) -> Offer:
        """What there is for a session without a pod."""
        claimed = self._claimed(session)
        if claimed is not None:
            return Offer(claimed=claimed)
        if AssignedPod.of(session.metadata.annotations) is not None:
            return NO_OFFER
        over_quota = self._over_quota(session)
        if over_quota is not None:
            return Offer(over_quota=over_quota)
        return self._from_pools(session)

    def _from_pools(self, session: StreamSession) -> Offer:
        shape = pod_shape(session.spec, image=self._image)
        namespace = session.metadata.namespace
        reference = session.spec.pool_ref
        if reference is not None:
            key = PoolKey(namespace, reference.name)
            known = self._cache.pool(key)
            if known is None or known.pool.metadata.deletion_timestamp is not None:
                return Offer(names_pool=True, pool_exists=False)
            fits = pod_shape(known.pool.spec.template.spec, image=self._image) == shape
            pools = [known.pool]
        else:
            fits = True
            pools = [
                pool
                for pool in self._cache.pools_in(namespace)
                if pool.spec.allow_unreferenced and pool.metadata.deletion_timestamp is None
            ]
        pods = [pod for pool in pools for pod in self._warm_pods(pool, shape=shape)]
        idle = tuple(
            pod for pod in pods if self._warm.is_free(pod) and self._warm.silent_s(pod) is None
        )
        # Counting a large pool takes time, and with an idle pod nobody asks.
        is_full = reference is not None and not idle and not self._capacity.has_room(pools[0])
        return Offer(
            names_pool=reference is not None,
            fits=fits,
            has_room=not is_full,
            idle=idle,
            unsure=any(pod.ready and self._warm.asked_s(pod) is None for pod in pods),
        )

    def _warm_pods(self, pool: StreamPool, *, shape: str) -> list[PodFacts]:
        pods = [
            pod
            for pod in self._cache.warm_pods_of_pool(pool.key)
            if pod.exists and not pod.is_finished and pod.ip and pod.shape == shape
        ]
        return sorted(pods, key=lambda pod: (str(pod.created_at), pod.name))

    def _claimed(self, session: StreamSession) -> PodFacts | None:
        """A warm pod that is the session's by its connection's word, or by its agent's."""
        assigned = AssignedPod.of(session.metadata.annotations)
        for pod in self._cache.warm_pods(session.metadata.namespace):
            if assigned is not None:
                if pod.uid == assigned.pod_uid:
                    return pod
                continue
            state = self._warm.state(pod)
            if (
                state is not None
                and not is_idle(state)
                and state.assignment_id == session.metadata.uid
            ):
                return pod
        return None

    def _over_quota(self, session: StreamSession) -> str | None:
        """Sessions count in the order of their creation, so that one answer stays the answer."""
        if self._quota == 0:
            return None
        own = _rank(session)
        earlier = sum(
            1
            for known in self._cache.sessions()
            if known.session.metadata.namespace == session.metadata.namespace
            and ending_of(known.session.status) is None
            and _rank(known.session) < own
        )
        if earlier < self._quota:
            return None
        return (
            f"namespace {session.metadata.namespace} has {earlier} sessions that have not ended, "
            f"and {self._quota} are allowed (chart value limits.maxSessionsPerNamespace): delete "
            "some, or wait until they end and apply this one anew"
        )


def _rank(session: StreamSession) -> tuple[str, str]:
    return str(session.metadata.creation_timestamp), session.metadata.uid
