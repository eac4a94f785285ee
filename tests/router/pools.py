"""Pools on the router's harness: idle pods, connections, and what became of them."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import aiohttp

from fakes.fake_agent import FakeAgent, description
from podstream_core.api import SessionKey
from podstream_core.assignment import AssignedPod
from podstream_router.routes import PodRoute, PoolRoute, SessionRoute
from router.harness import EPOCH, PORTS, Harness, idle_pod, pool_route, until

OFFER = description("client12", host="203.0.113.9", port=54321)
SDP = {"Content-Type": "application/sdp"}


@dataclass(frozen=True)
class Reply:
    """What a client got."""

    status: int
    headers: dict[str, str]
    body: str

    @property
    def session(self) -> str:
        return self.headers["Podstream-Session"]

    @property
    def token(self) -> str:
        return self.headers["Podstream-Token"]


@dataclass
class Pool:
    """A pool with real agents behind its pods."""

    router: Harness
    route: PoolRoute
    agents: list[FakeAgent] = field(default_factory=list)
    pods: list[PodRoute] = field(default_factory=list)

    @classmethod
    async def create(cls, router: Harness, *, warm: int = 0, **changes: Any) -> "Pool":
        pool = cls(router, pool_route(**changes))
        router.router.routes.upsert_pool(pool.route)
        for number in range(warm):
            # The oldest is tried first: the order of `agents` is that of the attempts.
            await pool.start_pod(created=EPOCH + timedelta(seconds=number))
        return pool

    async def start_pod(self, **changes: Any) -> FakeAgent:
        """A warm pod comes up."""
        pod = idle_pod(self.route, **changes)
        agent = FakeAgent(pod.ip, pod.uid, "", self.router.keys)
        await agent.start(control=PORTS.control, connect=PORTS.connect, stream=PORTS.stream)
        self.router.agents.append(agent)
        self.agents.append(agent)
        self.pods.append(pod)
        self.show(pod)
        return agent

    def show(self, pod: PodRoute) -> None:
        self.router.router.routes.upsert_pod(pod)

    def lose(self, agent: FakeAgent) -> None:
        """The watch shows that a pod is gone."""
        self.router.router.routes.remove_pod(agent.pod_uid)

    def url(self) -> str:
        return self.router.url(f"/p/{self.route.key.namespace}/{self.route.key.name}/whep")

    async def connect(
        self, http: aiohttp.ClientSession, *, token: str = "", offer: str = OFFER
    ) -> Reply:
        headers = {**SDP, **({"Authorization": f"Bearer {token}"} if token else {})}
        async with http.post(self.url(), data=offer, headers=headers) as response:
            return Reply(response.status, dict(response.headers), await response.text())

    async def connect_many(self, http: aiohttp.ClientSession, count: int) -> Sequence[Reply]:
        return await asyncio.gather(*(self.connect(http) for _ in range(count)))

    async def recorded(self, count: int) -> list[dict[str, Any]]:
        """Wait until so many sessions exist."""
        sessions = self.router.api.sessions
        await until(lambda: len(sessions) >= count)
        return sessions

    def adopt(self, body: dict[str, Any]) -> SessionRoute:
        """The watch shows the session of a connection, and its pod adopted."""
        meta = body["metadata"]
        assigned = AssignedPod.of(meta["annotations"])
        assert assigned is not None
        session = SessionRoute(
            key=SessionKey(meta["namespace"], meta["name"]),
            uid=f"uid-of-{meta['name']}",
            created=EPOCH,
            public=self.route.public,
            workloads=("circle",),
            pool=meta["labels"]["podstream.dev/pool"],
            assigned=assigned,
            phase="Connected",
        )
        routes = self.router.router.routes
        routes.upsert_session(session)
        pod = next(pod for pod in self.pods if pod.uid == assigned.pod_uid)
        routes.upsert_pod(replace(pod, owner_uid=session.uid, session=session.key))
        return session

    def ended(self, session: SessionRoute) -> SessionRoute:
        """The watch shows that a session is over."""
        over = replace(session, phase="Completed", ended="the session is Completed")
        self.router.router.routes.upsert_session(over)
        return over
