"""One session, from what is known to what is written: snapshot, decide, apply, write status.

Safe to run again from the top at any point. Everything that could be lost with this process is
either found again (pods by name, assignments by asking the agent) or was written to status before
it mattered.
"""

import dataclasses
import logging
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from podstream_core.api import ConditionType, SessionKey, SessionStatus, StreamSession
from podstream_operator.actions import Actor, Sight
from podstream_operator.agents import AgentClient
from podstream_operator.clock import Clock
from podstream_operator.cluster import Cache, CachedSession, KubeClient
from podstream_operator.decide import decide
from podstream_operator.decide.placement import current_pod, restarts_of
from podstream_operator.events import EventPoster
from podstream_operator.facts import NO_OFFER, Memory, Observed, Offer, Site
from podstream_operator.keys import Keys
from podstream_operator.metrics import Metrics
from podstream_operator.pools.capacity import Capacity
from podstream_operator.pools.offers import Offers
from podstream_operator.pools.view import WarmView
from podstream_operator.resources import SessionImage
from podstream_operator.status import (
    agrees,
    ending_of,
    is_true,
    merge_patch,
    transitions,
)

logger = logging.getLogger(__name__)

MAX_ROUNDS: Final = 12
"""Decisions in one reconcile; a life's longest chain (create, contact, drain, write, delete) is
shorter. More would be two decisions that undo each other: the key comes back later instead."""
AGAIN_S: Final = 1.0


class Reconciler:
    """Owns the memory of every session. Reconciles of different sessions may run at once."""

    def __init__(
        self,
        *,
        cache: Cache,
        kube: KubeClient,
        agents: AgentClient,
        warm: WarmView,
        capacity: Capacity,
        offers: Offers,
        events: EventPoster,
        metrics: Metrics,
        clock: Clock,
        image: SessionImage,
        site: Site,
        keys: Keys,
    ) -> None:
        self._offers = offers
        self._unplaced: set[SessionKey] = set()
        self._cache = cache
        self._kube = kube
        self._events = events
        self._metrics = metrics
        self._clock = clock
        self._site = site
        self._actor = Actor(
            kube=kube,
            agents=agents,
            cache=cache,
            warm=warm,
            capacity=capacity,
            clock=clock,
            image=image,
            site=site,
            client_key=keys.client,
        )
        self._memories: dict[str, Memory] = {}

    async def reconcile(self, key: SessionKey) -> float | None:
        """Bring a session one or more steps forward; seconds until it wants to be seen again."""
        sight = None
        for _ in range(MAX_ROUNDS):
            known = self._cache.session(key)
            if known is None:
                self._unplaced.discard(key)
                return None
            session = known.session
            memory = self._remembered(known)
            now = self._clock.now()
            observed = Observed(
                pods=self._cache.pods_of(session),
                memory=memory,
                offer=self._offer(session, memory=memory),
                peer=self._peer(session),
                agent=sight.agent if sight else None,
                agent_pod_uid=sight.agent_pod_uid if sight else None,
            )
            plan = decide(session, observed=observed, site=self._site, now=now)
            if plan.actions:
                sight = Sight(
                    memory=memory, agent=observed.agent, agent_pod_uid=observed.agent_pod_uid
                )
                try:
                    await self._actor.apply(plan.actions, session=session, sight=sight)
                finally:
                    self._memories[session.metadata.uid] = sight.memory
                continue
            self._memories[session.metadata.uid] = memory
            if plan.status is not None and await self._write(known, plan.status, now=now):
                continue
            return plan.requeue_after_s
        logger.warning("reconcile does not settle")
        return AGAIN_S

    def _remembered(self, known: CachedSession) -> Memory:
        """What this process knows of a session; the stored status counts where it agrees."""
        session = known.session
        memory = self._memories.get(session.metadata.uid)
        if memory is None:
            return Memory(first_seen_at=known.first_seen_at)
        own, stored = memory.status, session.status
        if own is not None and own != stored and agrees(stored, own):
            return dataclasses.replace(memory, status=stored)
        return memory

    def _offer(self, session: StreamSession, *, memory: Memory) -> Offer:
        """What the pools have, for a session that lives and has no pod."""
        status = memory.status or session.status
        pods = self._cache.pods_of(session)
        if ending_of(status) is not None or current_pod(
            session, pods=pods, restarts=restarts_of(status)
        ):
            self._unplaced.discard(session.key)
            return NO_OFFER
        self._unplaced.add(session.key)
        return self._offers.offer(session)

    def _peer(self, session: StreamSession) -> StreamSession | None:
        """The session that this one refers to."""
        tracking = session.spec.tracking
        if tracking is None or tracking.dials is None:
            return None
        key = SessionKey(session.metadata.namespace, tracking.dials.name)
        known = self._cache.session(key)
        return None if known is None else known.session

    def unplaced(self, namespace: str) -> list[SessionKey]:
        """Sessions that had no pod when they were looked at last."""
        return [key for key in self._unplaced if key.namespace == namespace]

    def forget_absent(self) -> None:
        """Drop the memory of sessions that exist no longer."""
        alive = {known.session.metadata.uid for known in self._cache.sessions()}
        for uid in self._memories.keys() - alive:
            del self._memories[uid]

    def live(self) -> Iterator[tuple[SessionKey, int]]:
        """Sessions whose agents are worth asking, and how many calls in a row got no answer."""
        for known in self._cache.sessions():
            memory = self._memories.get(known.session.metadata.uid)
            if memory is None or not memory.pod.assigned:
                continue
            if ending_of(memory.status or known.session.status) is None:
                yield known.session.key, memory.pod.silent

    async def _write(self, known: CachedSession, desired: SessionStatus, *, now: datetime) -> bool:
        """Store the status where it differs; whether it was written."""
        session = known.session
        uid = session.metadata.uid
        before = self._memories[uid].status or session.status
        patch = merge_patch(known.raw_status, desired.to_body())
        if not patch:
            self._memories[uid] = dataclasses.replace(self._memories[uid], status=desired)
            return False
        body = await self._kube.patch_session_status(
            session.metadata.namespace, session.metadata.name, uid=uid, patch=patch
        )
        if body is None:
            self._cache.drop_session(session.key, uid=uid)
            return True
        self._memories[uid] = dataclasses.replace(self._memories[uid], status=desired)
        self._cache.put_session(body, now=now)
        self._tell(session, before=before, after=desired, now=now)
        return True

    def _tell(
        self, session: StreamSession, *, before: SessionStatus, after: SessionStatus, now: datetime
    ) -> None:
        """Log, count and post what has changed."""
        for note in transitions(before, after):
            self._events.post(session, note, now=now)
        if before.phase is not after.phase:
            logger.info(
                "session is %s",
                after.phase,
                extra={
                    "namespace": session.metadata.namespace,
                    "session": session.metadata.name,
                    "pod": after.pod.name if after.pod else None,
                    "reason": after.reason,
                },
            )
        ending = ending_of(after)
        if ending is not None and ending_of(before) is None:
            self._metrics.ended(ending.reason)
        timeline = after.timeline
        if (
            is_true(after, ConditionType.READY)
            and not is_true(before, ConditionType.READY)
            and timeline.ready_at
            and timeline.applied_at
            and after.pod is not None
        ):
            seconds = (timeline.ready_at - timeline.applied_at).total_seconds()
            self._metrics.became_ready(origin=after.pod.origin.value, seconds=max(seconds, 0.0))
