"""Carrying out what was decided, and remembering what came of it."""

import asyncio
import dataclasses
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from podstream_core import names
from podstream_core.agentapi import AgentState
from podstream_core.api import PoolKey, StreamSession
from podstream_core.tokens import CLIENT_AUDIENCE, SigningKey, TokenType
from podstream_operator.agents import AgentClient
from podstream_operator.clock import Clock
from podstream_operator.cluster import Body, Cache, KubeClient
from podstream_operator.decide import (
    Action,
    AdoptPod,
    ContactAgent,
    CreateClient,
    CreatePod,
    DeletePod,
    DeleteSession,
    DrainAgent,
    EnsureSecret,
    SecretVerdict,
    TakeWarm,
    UpdateSpec,
    judge_secret,
)
from podstream_operator.errors import ApiConflict, ApiRejected, ApiUnavailable
from podstream_operator.facts import (
    AgentReply,
    AgentUnreachable,
    Memory,
    PodFacts,
    PodMemory,
    Rejection,
    SecretFacts,
    Site,
    expected_assignment,
)
from podstream_operator.missing import is_worth_reading, read_pod_again
from podstream_operator.pools.adopt import Adopter, Adoption
from podstream_operator.pools.capacity import Capacity
from podstream_operator.pools.view import WarmView
from podstream_operator.resources import (
    SessionImage,
    build_access_secret,
    build_client_pod,
    build_session_pod,
    has_view_token,
    secret_name,
)
from podstream_operator.status import whep_cluster_url

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Sight:
    """What one reconcile knows so far; actions that run side by side add to it."""

    memory: Memory
    agent: AgentReply | None = None
    agent_pod_uid: str | None = None
    """Pod that the answer comes from."""

    def remember(self, **changes: Any) -> None:
        """Change the memory."""
        self.memory = dataclasses.replace(self.memory, **changes)


class Actor:
    """Carries out actions. Each one may be repeated: it finds what an earlier try has left."""

    def __init__(
        self,
        *,
        kube: KubeClient,
        agents: AgentClient,
        cache: Cache,
        warm: WarmView,
        capacity: Capacity,
        clock: Clock,
        image: SessionImage,
        site: Site,
        client_key: SigningKey,
    ) -> None:
        self._adopter = Adopter(kube=kube, agents=agents, cache=cache, warm=warm, clock=clock)
        self._capacity = capacity
        self._kube = kube
        self._agents = agents
        self._cache = cache
        self._clock = clock
        self._image = image
        self._site = site
        self._client_key = client_key

    async def apply(
        self, actions: Iterable[Action], *, session: StreamSession, sight: Sight
    ) -> None:
        """Carry out actions side by side.

        All of them are tried, whichever fails.

        Raises:
            ApiError: the first failure.
        """
        results = await asyncio.gather(
            *(self._act(action, session=session, sight=sight) for action in actions),
            return_exceptions=True,
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _act(self, action: Action, *, session: StreamSession, sight: Sight) -> None:
        namespace = session.metadata.namespace
        match action:
            case EnsureSecret():
                try:
                    await self._ensure_secret(action, session=session, sight=sight)
                except ApiRejected as error:
                    now = self._clock.now()
                    rejection = Rejection("SecretRejected", error.message, now)
                    sight.remember(secret_checked_at=now, secret_rejection=rejection)
            case CreatePod():
                await self._create_session_pod(action, session=session, sight=sight)
            case TakeWarm():
                taken = self._adopter.take(action, session=session, memory=sight.memory)
                _note(await taken, sight=sight)
            case AdoptPod():
                adopted = self._adopter.adopt(action, session=session, memory=sight.memory)
                _note(await adopted, sight=sight)
            case CreateClient():
                await self._create_client_pod(action, session=session, sight=sight)
            case ContactAgent():
                await self._contact(action, session=session, sight=sight)
            case UpdateSpec():
                sight.agent = await self._agents.update(
                    action.pod,
                    assignment_id=action.assignment_id,
                    generation=action.generation,
                    live=action.live,
                )
                sight.agent_pod_uid = action.pod.uid
                if isinstance(sight.agent, AgentState):
                    told = dataclasses.replace(sight.memory.pod, last_state=sight.agent)
                    sight.remember(pod=told)
            case DrainAgent():
                drained = dataclasses.replace(sight.memory.pod, drain_started_at=self._clock.now())
                sight.remember(pod=drained)
                sight.agent = await self._agents.drain(
                    action.pod, reason=action.reason, message=action.message
                )
                sight.agent_pod_uid = action.pod.uid
            case DeletePod():
                pod = action.pod
                await self._kube.delete_pod(namespace, pod.name, uid=pod.uid)
                # Until the watch shows it: the same decision must not be made again.
                leaving = dataclasses.replace(pod, deletion_at=self._clock.now())
                self._cache.put_pod(leaving)
            case DeleteSession():
                uid = session.metadata.uid
                await self._kube.delete_session(namespace, session.metadata.name, uid=uid)
                self._cache.bury_session(session.key, uid=uid)

    async def _create_session_pod(
        self, action: CreatePod, *, session: StreamSession, sight: Sight
    ) -> None:
        body = build_session_pod(session, image=self._image, restarts=action.restarts)
        sight.remember(pod=PodMemory(), pod_rejection=None)
        reference = session.spec.pool_ref
        known = reference and self._cache.pool(PoolKey(session.metadata.namespace, reference.name))
        if not known:
            rejection = await self._create_pod(body, session=session)
        else:
            with self._capacity.place(known.pool) as has_place:
                if not has_place:
                    return  # the last place went to another: the next look says so
                rejection = await self._create_pod(body, session=session)
        sight.remember(pod_rejection=rejection)

    async def _create_client_pod(
        self, action: CreateClient, *, session: StreamSession, sight: Sight
    ) -> None:
        body = build_client_pod(
            session,
            image=self._image,
            url=whep_cluster_url(session, site=self._site),
            restarts=action.restarts,
        )
        sight.remember(client_rejection=await self._create_pod(body, session=session))

    async def _create_pod(self, body: Body, *, session: StreamSession) -> Rejection | None:
        """Create a pod, or find the one that an earlier try has created."""
        namespace, name = session.metadata.namespace, body["metadata"]["name"]
        try:
            created = await self._kube.create_pod(namespace, body)
        except ApiConflict:
            existing = await self._kube.get_pod(namespace, name)
            if existing is None:
                raise ApiUnavailable(f"pod {name} went away while it was read") from None
            created = existing
        except ApiRejected as error:
            return Rejection("PodRejected", error.message, self._clock.now())
        pod = PodFacts.from_body(created)
        if pod.owner_uid != session.metadata.uid:
            message = f"a pod named {name} exists that does not belong to this session"
            return Rejection("PodRejected", message, self._clock.now())
        self._cache.put_pod(pod)
        return None

    async def _ensure_secret(
        self, action: EnsureSecret, *, session: StreamSession, sight: Sight
    ) -> None:
        namespace, name = session.metadata.namespace, secret_name(session)
        uid = session.metadata.uid
        body = await self._kube.get_secret(namespace, name) if action.check_first else None
        if body is None:
            body = await self._create_secret(session, expires_at=action.expires_at)
        secret = SecretFacts.from_body(body)
        verdict = judge_secret(secret, owner_uid=uid, expires_at=action.expires_at)
        rejection = None
        if verdict is SecretVerdict.REPLACE:
            await self._kube.delete_secret(namespace, name, uid=secret.uid)
            body = await self._create_secret(session, expires_at=action.expires_at)
            secret = SecretFacts.from_body(body)
        elif verdict is SecretVerdict.REFRESH:
            built = self._build_secret(session, expires_at=action.expires_at)
            await self._kube.patch_secret(namespace, name, patch={"data": built["data"]})
            secret = dataclasses.replace(secret, expires_at=action.expires_at)
        elif verdict is SecretVerdict.FOREIGN:
            message = (
                f"a Secret named {name} exists that podstream did not make; "
                "delete it or rename the session"
            )
            rejection = Rejection("SecretConflict", message, self._clock.now())
        sight.remember(
            secret=secret, secret_checked_at=self._clock.now(), secret_rejection=rejection
        )

    async def _create_secret(self, session: StreamSession, *, expires_at: datetime) -> Body:
        namespace, name = session.metadata.namespace, secret_name(session)
        body = self._build_secret(session, expires_at=expires_at)
        try:
            return await self._kube.create_secret(namespace, body)
        except ApiConflict:
            existing = await self._kube.get_secret(namespace, name)
            if existing is None:
                raise ApiUnavailable(f"secret {name} went away while it was read") from None
            return existing

    def _build_secret(self, session: StreamSession, *, expires_at: datetime) -> Body:
        views = None
        if has_view_token(session):
            claims = {names.VIEW_CLAIM: names.VIEW_SCOPE}
            views = self._client_token(session, expires_at=expires_at, claims=claims)
        token = self._client_token(session, expires_at=expires_at)
        return build_access_secret(session, token=token, view_token=views)

    def _client_token(
        self, session: StreamSession, *, expires_at: datetime, claims: dict[str, str] | None = None
    ) -> str:
        now = self._clock.now()
        return self._client_key.sign(
            TokenType.CLIENT,
            audience=CLIENT_AUDIENCE,
            subject=session.metadata.uid,
            claims=claims,
            lifetime_s=(expires_at - now).total_seconds(),
            now=now.timestamp(),
        )

    async def _contact(self, action: ContactAgent, *, session: StreamSession, sight: Sight) -> None:
        asked_at = self._clock.now()
        pod = action.pod
        if action.assign:
            reply = await self._agents.assign(pod, session=session)
        else:
            reply = await self._agents.state(pod)
        sight.agent, sight.agent_pod_uid = reply, pod.uid
        known = sight.memory.pod
        if known.uid != pod.uid:
            known = PodMemory(uid=pod.uid)
        known = dataclasses.replace(known, dials=known.dials + 1)
        if isinstance(reply, AgentUnreachable):
            known = dataclasses.replace(known, silent=known.silent + 1)
            sight.remember(pod=known)
            was_up = known.assigned or (session.status.pod and session.status.pod.uid == pod.uid)
            if was_up and is_worth_reading(known.silent):
                await read_pod_again(pod, kube=self._kube, cache=self._cache)
            return
        known = dataclasses.replace(known, silent=0, contact_at=known.contact_at or asked_at)
        if isinstance(reply, AgentState):
            ours = reply.assignment_id == expected_assignment(session, pod)
            known = dataclasses.replace(
                known, assigned=ours, last_state=reply if ours else known.last_state
            )
        sight.remember(pod=known)


def _note(adoption: Adoption, *, sight: Sight) -> None:
    """Take over what an adoption has brought; a Secret that came meanwhile stays."""
    memory = adoption.memory
    sight.remember(
        pod=memory.pod,
        claim_refusal=memory.claim_refusal,
        spec_refusal=memory.spec_refusal,
        pod_rejection=memory.pod_rejection,
    )
    if adoption.pod_uid is not None:
        sight.agent, sight.agent_pod_uid = adoption.reply, adoption.pod_uid
