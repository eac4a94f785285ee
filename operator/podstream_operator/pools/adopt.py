"""Taking a warm pod over for a session: assign by the agent's word, then own by Kubernetes'."""

import dataclasses
import logging

from podstream_core.agentapi import AgentState
from podstream_core.api import StreamSession
from podstream_core.termination import decode_termination
from podstream_operator.agents import AgentClient
from podstream_operator.clock import Clock
from podstream_operator.cluster import Cache, KubeClient
from podstream_operator.decide import AdoptPod, TakeWarm
from podstream_operator.facts import (
    AgentRefusal,
    AgentReply,
    AgentUnreachable,
    Memory,
    PodFacts,
    PodMemory,
    confirms,
)
from podstream_operator.pools.view import WarmView
from podstream_operator.resources import adoption_patch

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """What came of it."""

    memory: Memory
    reply: AgentReply | None = None
    """The agent's answer, of the pod that was asked last."""
    pod_uid: str | None = None


class Adopter:
    """Carries out `TakeWarm` and `AdoptPod`. Both may be repeated."""

    def __init__(
        self,
        *,
        kube: KubeClient,
        agents: AgentClient,
        cache: Cache,
        warm: WarmView,
        clock: Clock,
    ) -> None:
        self._kube = kube
        self._agents = agents
        self._cache = cache
        self._warm = warm
        self._clock = clock

    async def take(self, action: TakeWarm, *, session: StreamSession, memory: Memory) -> Adoption:
        """Assign the session to the first pod that accepts.

        A pod that another assigner was faster with is left to it: the next one is tried at once.

        Raises:
            ApiError: the adoption could not be written; the pod is assigned all the same, and is
                found by its own word.
        """
        for pod in action.pods:
            if not self._warm.is_free(pod):
                continue  # taken while another candidate was asked
            self._warm.reserve(pod, session_uid=session.metadata.uid)
            reply = await self._agents.assign(pod, session=session)
            if isinstance(reply, AgentState):
                self._warm.answered(pod, reply)
                return await self._own(
                    pod, session=session, restarts=action.restarts, memory=memory, state=reply
                )
            if isinstance(reply, AgentUnreachable):
                self._warm.release(pod)
                self._warm.unanswered(pod)
            elif reply.error == "SpecRejected":
                self._warm.release(pod)
                return Adoption(memory=dataclasses.replace(memory, spec_refusal=reply.message))
            else:
                self._warm.lost(pod)
        return Adoption(memory=memory)

    async def adopt(self, action: AdoptPod, *, session: StreamSession, memory: Memory) -> Adoption:
        """Take over a pod that says itself that it was assigned to the session.

        Raises:
            ApiError: the adoption could not be written.
        """
        pod = action.pod
        reply = await self._last_word(pod)
        dials = memory.pod.dials + 1
        memory = dataclasses.replace(memory, pod=dataclasses.replace(memory.pod, dials=dials))
        if isinstance(reply, AgentUnreachable):
            return Adoption(memory=memory, reply=reply, pod_uid=pod.uid)
        if isinstance(reply, AgentState):
            self._warm.answered(pod, reply)
            if confirms(reply, session=session, pod=pod):
                return await self._own(
                    pod, session=session, restarts=action.restarts, memory=memory, state=reply
                )
        cause = reply.message if isinstance(reply, AgentRefusal) else "it works for another session"
        text = f"pod {pod.name} does not confirm that it was assigned to this session: {cause}"
        return Adoption(memory=dataclasses.replace(memory, claim_refusal=text))

    async def _last_word(self, pod: PodFacts) -> AgentReply:
        """The agent's state, or the record that it left behind."""
        if not pod.is_finished:
            return await self._agents.state(pod, confirm=False)
        message = pod.terminated.message if pod.terminated else ""
        state = decode_termination(message)
        if state is not None and state.pod_uid == pod.uid:
            return state
        return AgentRefusal(0, "NoRecord", "it has ended and left no record")

    async def _own(
        self,
        pod: PodFacts,
        *,
        session: StreamSession,
        restarts: int,
        memory: Memory,
        state: AgentState,
    ) -> Adoption:
        patch = adoption_patch(session, pod_uid=pod.uid, pool=pod.pool, restarts=restarts)
        body = await self._kube.patch_pod(pod.namespace, pod.name, patch=patch)
        if body is None:
            self._cache.drop_pod(pod)
            return Adoption(memory=memory)
        self._cache.put_pod(PodFacts.from_body(body))
        logger.info(
            "warm pod adopted",
            extra={
                "namespace": pod.namespace,
                "session": session.metadata.name,
                "pod": pod.name,
                "pool": pod.pool,
            },
        )
        if pod.is_finished:
            return Adoption(memory=memory)
        known = PodMemory(
            uid=pod.uid, contact_at=self._clock.now(), assigned=True, last_state=state, dials=1
        )
        memory = dataclasses.replace(memory, pod=known, pod_rejection=None)
        return Adoption(memory=memory, reply=state, pod_uid=pod.uid)
