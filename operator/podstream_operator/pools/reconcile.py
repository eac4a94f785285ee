"""One pool, from what is known to what is done: ask the agents, decide, act, write status.

Safe to run again from the top at any point. What is remembered may be lost: agents and lists
bring it back.
"""

import asyncio
import dataclasses
import logging
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from podstream_core.agentapi import AgentState
from podstream_core.api import PoolKey, PoolStatus, StreamPool
from podstream_operator.agents import AgentClient
from podstream_operator.clock import Clock
from podstream_operator.cluster import Cache, CachedPool, KubeClient, Touched
from podstream_operator.decide.dialling import dial_delay_s
from podstream_operator.decide.pool import PoolPlan, decide_pool
from podstream_operator.errors import ApiRejected, ApiUnavailable
from podstream_operator.facts import (
    AgentRefusal,
    AgentUnreachable,
    PodFacts,
    PooledPod,
    PoolMemory,
    PoolObserved,
    Rejection,
    Site,
    Use,
)
from podstream_operator.metrics import Metrics
from podstream_operator.missing import is_worth_reading, read_pod_again, read_pods_again
from podstream_operator.pools.capacity import Capacity
from podstream_operator.pools.classify import pods_of_pool, warm_pods_of_pool
from podstream_operator.pools.demand import DemandBook
from podstream_operator.pools.secret import PoolSecrets
from podstream_operator.pools.trouble import pool_trouble
from podstream_operator.pools.view import WarmView
from podstream_operator.resources import SessionImage, build_warm_pod, pod_shape
from podstream_operator.status import merge_patch, pools_agree
from podstream_operator.status.pool import pool_status

logger = logging.getLogger(__name__)

STATUS_INTERVAL_S: Final = 1.0
"""Counts that change all the time are written so often at most; conditions are written at once."""
ASK_AGAIN_S: Final = 10.0
"""An idle pod's word is renewed so often: it may have been assigned by a router that died."""
ASK_SILENT_AGAIN_S: Final = 2.0
REJECTION_RETRY_S: Final = 5.0
REST_PER_POD_S: Final = 0.0005
"""A turn takes about 25 us of CPU for each pod: with this rest, a twentieth of the time."""
MAX_REST_S: Final = 1.0
_CONFLICT: Final = 409


class PoolReconciler:
    """Owns the memory of every pool."""

    def __init__(
        self,
        *,
        cache: Cache,
        kube: KubeClient,
        agents: AgentClient,
        warm: WarmView,
        demand: DemandBook,
        capacity: Capacity,
        secrets: PoolSecrets,
        metrics: Metrics,
        clock: Clock,
        image: SessionImage,
        site: Site,
        max_starting: int,
        wake: Callable[[str], None],
        touch: Callable[[Touched], None],
    ) -> None:
        """Make a reconciler.

        Args:
            cache: what the watches have shown.
            kube: writes.
            agents: asks idle pods.
            warm: what agents have said.
            demand: what routers have said.
            capacity: keeps the pool within `spec.max`.
            secrets: tokens of pools that are not Public.
            metrics: counts pods that were started.
            clock: wall time.
            image: of session pods.
            site: where clients find the router.
            max_starting: pods of one pool that may be starting at a time.
            wake: makes sessions of a namespace due that wait for a pod.
            touch: makes due whom a change concerns.
        """
        self._cache = cache
        self._kube = kube
        self._agents = agents
        self._warm = warm
        self._demand = demand
        self._capacity = capacity
        self._secrets = secrets
        self._metrics = metrics
        self._clock = clock
        self._image = image
        self._site = site
        self._max_starting = max_starting
        self._wake = wake
        self._touch = touch
        self._memories: dict[str, PoolMemory] = {}
        self._unsure: set[str] = set()
        """UIDs of pools for which a pod may have been created without anybody's knowing."""

    async def reconcile(self, key: PoolKey) -> float | None:
        """Bring a pool a step forward; seconds until it wants to be seen again."""
        known = self._cache.pool(key)
        if known is None:
            return None
        pool = known.pool
        uid = pool.metadata.uid
        shape = pod_shape(pool.spec.template.spec, image=self._image)
        asking_s = await self._ask_agents(
            warm_pods_of_pool(key, cache=self._cache, warm=self._warm, now=self._clock.now())
        )
        if uid in self._unsure:
            await read_pods_again(
                key.namespace, kube=self._kube, cache=self._cache, touch=self._touch
            )
            self._unsure.discard(uid)
        memory = self._memories.get(uid) or PoolMemory()
        memory = await self._secrets.ensure(pool, memory=memory)
        observed = self._observe(pool, shape=shape, memory=memory)
        plan = decide_pool(
            pool, observed=observed, max_starting=self._max_starting, now=self._clock.now()
        )
        self._memories[uid] = plan.memory
        if await self._carry_out(plan, pool=pool):
            observed = self._observe(pool, shape=shape, memory=self._memories[uid])
        else:
            observed = dataclasses.replace(observed, memory=self._memories[uid])
        if any(item.use is Use.IDLE for item in observed.pods) or plan.discard or plan.retire:
            self._wake(key.namespace)
        writing_s = await self._write_status(known, observed=observed)
        return min(
            (
                delay
                for delay in (plan.requeue_after_s, asking_s, writing_s, self._retry_s(uid))
                if delay is not None
            ),
            default=None,
        )

    def rest_s(self, key: PoolKey) -> float:
        """How long a pool may wait for its next turn, whatever happens to it meanwhile.

        A turn goes through all of its pods and sessions, and each of those makes it due: without
        a rest the turns of a large pool would leave no time for anything else.
        """
        return min(self._cache.pool_size(key) * REST_PER_POD_S, MAX_REST_S)

    def memories(self) -> list[PoolMemory]:
        """What is remembered, for tests."""
        return list(self._memories.values())

    def forget_absent(self) -> None:
        """Drop what is remembered of pools and pods that exist no longer."""
        alive = {pool.metadata.uid for pool in self._cache.pools()}
        for uid in self._memories.keys() - alive:
            del self._memories[uid]
        self._warm.forget_absent(self._cache.pool_pod_uids())

    # -- looking ---------------------------------------------------------------------------------

    def _pods(self, pool: StreamPool, *, shape: str) -> list[PooledPod]:
        return pods_of_pool(
            pool.key, shape=shape, cache=self._cache, warm=self._warm, now=self._clock.now()
        )

    def _observe(self, pool: StreamPool, *, shape: str, memory: PoolMemory) -> PoolObserved:
        sessions = self._cache.sessions_of_pool(pool.key)
        return PoolObserved(
            pods=self._pods(pool, shape=shape),
            waiting=self._demand.waiting(pool.key, now=time.monotonic()),
            shape=shape,
            history=sorted(sessions, key=lambda item: str(item.metadata.creation_timestamp)),
            refused_listeners=self._refused_listeners(pool),
            memory=memory,
        )

    def _refused_listeners(self, pool: StreamPool) -> list[str]:
        """Listeners that an older Public pool of any served namespace names too."""
        older = {
            name
            for other in self._cache.pools()
            if other.is_public and _age(other) < _age(pool)
            for name in other.spec.listeners
        }
        return [name for name in pool.spec.listeners if name in older]

    async def _ask_agents(self, pods: list[PooledPod]) -> float | None:
        """Learn what unadopted pods are up to; seconds until one is worth asking again."""
        due, delays = [], []
        for pooled in pods:
            pod = pooled.pod
            if not pod.is_warm or not pod.exists or pod.is_finished or not pod.ip:
                continue
            asked_s = self._warm.asked_s(pod)
            pause_s = self._pause_s(pod, use=pooled.use)
            if asked_s is None or asked_s >= pause_s:
                due.append(pod)
                asked_s = 0.0
            delays.append(pause_s - asked_s)
        await asyncio.gather(*(self._ask(pod) for pod in due))
        return min(delays, default=None)

    def _pause_s(self, pod: PodFacts, *, use: Use) -> float:
        if use is Use.STARTING:
            return dial_delay_s(self._warm.silent(pod) + 1)
        return ASK_AGAIN_S if self._warm.silent_s(pod) is None else ASK_SILENT_AGAIN_S

    async def _ask(self, pod: PodFacts) -> None:
        reply = await self._agents.state(pod, confirm=False)
        if isinstance(reply, AgentState):
            self._warm.answered(pod, reply)
            return
        self._warm.unanswered(pod)
        was_up = self._warm.state(pod) is not None
        if was_up and is_worth_reading(self._warm.silent(pod)):
            await read_pod_again(pod, kube=self._kube, cache=self._cache)

    # -- acting ----------------------------------------------------------------------------------

    async def _carry_out(self, plan: PoolPlan, *, pool: StreamPool) -> bool:
        """Do everything side by side; whether there was anything to do.

        Raises:
            ApiError: the first failure, after all have been tried.
        """
        work = [
            *(self._create(pool) for _ in range(plan.create)),
            *(self._retire(pod) for pod in plan.retire),
            *(self._delete(pod) for pod in plan.discard),
            *(
                self._kube.delete_session(
                    pool.metadata.namespace, session.metadata.name, uid=session.metadata.uid
                )
                for session in plan.delete_sessions
            ),
        ]
        for result in await asyncio.gather(*work, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result
        return bool(work)

    async def _create(self, pool: StreamPool) -> None:
        body = build_warm_pod(pool, image=self._image)
        uid = pool.metadata.uid
        with self._capacity.place(pool) as has_place:
            if not has_place:
                return
            try:
                created = await self._kube.create_pod(pool.metadata.namespace, body)
            except ApiRejected as error:
                now = self._clock.now()
                self._memories[uid] = dataclasses.replace(
                    self._memories[uid],
                    rejection=Rejection("PodRejected", error.message, now),
                    retry_at=now + timedelta(seconds=REJECTION_RETRY_S),
                )
                return
            except ApiUnavailable:
                # Its name is the API server's choice: a second try would make a second pod.
                self._unsure.add(uid)
                raise
            self._cache.put_pod(PodFacts.from_body(created))
        self._metrics.pool_pod_created()
        if self._memories[uid].rejection is not None:
            self._memories[uid] = dataclasses.replace(self._memories[uid], rejection=None)

    async def _retire(self, pod: PodFacts) -> None:
        """End an idle pod if its agent agrees: a router may assign it in this very moment."""
        reply = await self._agents.retire(pod) if pod.ip else AgentUnreachable("no address yet")
        if isinstance(reply, AgentRefusal) and reply.status == _CONFLICT:
            self._warm.lost(pod)
            return
        if isinstance(reply, AgentRefusal) and not reply.is_success:
            logger.warning(
                "idle pod does not retire",
                extra={"namespace": pod.namespace, "pod": pod.name, "cause": reply.message},
            )
            return
        if isinstance(reply, AgentUnreachable) and self._warm.state(pod) is not None:
            return  # it was up before: who knows whom it serves now
        await self._delete(pod)

    async def _delete(self, pod: PodFacts) -> None:
        await self._kube.delete_pod(pod.namespace, pod.name, uid=pod.uid)
        # Until the watch shows it: the same decision must not be made again.
        self._cache.put_pod(dataclasses.replace(pod, deletion_at=self._clock.now()))

    # -- writing ---------------------------------------------------------------------------------

    async def _write_status(self, known: CachedPool, *, observed: PoolObserved) -> float | None:
        """Store the status where it differs and it is time; seconds until it is."""
        pool, memory, now = known.pool, observed.memory, self._clock.now()
        previous = memory.status or pool.status
        if pools_agree(pool.status, previous):
            previous = pool.status
        desired = pool_status(
            pool,
            previous=previous,
            observed=observed,
            trouble=pool_trouble(observed, now=now),
            site=self._site,
            now=now,
        )
        patch = merge_patch(known.raw_status, desired.to_body())
        if not patch:
            return None
        if memory.status_at is not None and _conditions(previous) == _conditions(desired):
            left_s = memory.status_at + STATUS_INTERVAL_S - time.monotonic()
            if left_s > 0:
                return left_s
        body = await self._kube.patch_pool_status(
            pool.metadata.namespace, pool.metadata.name, uid=pool.metadata.uid, patch=patch
        )
        if body is None:
            self._cache.drop_pool(pool.key, uid=pool.metadata.uid)
            return None
        self._cache.put_pool(body)
        self._memories[pool.metadata.uid] = dataclasses.replace(
            self._memories[pool.metadata.uid], status=desired, status_at=time.monotonic()
        )
        self._tell(pool, before=previous, after=desired)
        return None

    def _tell(self, pool: StreamPool, *, before: PoolStatus, after: PoolStatus) -> None:
        for condition in after.conditions:
            old = before.condition(condition.type)
            if old is None or (old.status, old.reason) != (condition.status, condition.reason):
                logger.info(
                    "pool condition %s is %s",
                    condition.type.value,
                    condition.status,
                    extra={
                        "namespace": pool.metadata.namespace,
                        "pool": pool.metadata.name,
                        "reason": condition.reason,
                    },
                )

    def _retry_s(self, uid: str) -> float | None:
        memory = self._memories.get(uid)
        if memory is None or memory.retry_at is None:
            return None
        left = (memory.retry_at - self._clock.now()).total_seconds()
        return left if left > 0 else None


def _age(pool: StreamPool) -> tuple[str, str, str]:
    meta = pool.metadata
    return str(meta.creation_timestamp), meta.namespace, meta.name


def _conditions(status: PoolStatus) -> list[tuple[str, str, str]]:
    return [(item.type.value, item.status, item.reason) for item in status.conditions]
