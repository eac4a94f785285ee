"""A whole router on loopback, whose routes a test sets by hand."""

import asyncio
import json
import random
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from fakes.fake_agent import FakeAgent
from podstream_core.api import PoolKey, SessionKey
from podstream_core.tokens import CLIENT_AUDIENCE, PublicKeys, SigningKey, TokenType
from podstream_router.app import Router
from podstream_router.keys import Keys
from podstream_router.routes import PodRoute, PoolRoute, SessionRoute
from podstream_router.settings import AgentPorts, Limits, Listener, Settings
from podstream_router.tls import Certificate
from podstream_router.watch import ApiError

PORTS = AgentPorts(control=19440, connect=19441, stream=19442)
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def loopback_ip() -> str:
    """An address of its own for one pod: every 127.0.0.0/8 address is ours on Linux."""
    return f"127.{random.randint(1, 254)}.{random.randint(0, 255)}.{random.randint(2, 254)}"


def _refuse(method: str, path: str, _body: dict[str, Any], _token: str | None) -> bytes:
    raise ApiError(403, f"{method} {path} is forbidden")


class QuietApi:
    """An API server whose watches say nothing and that keeps what is created."""

    def __init__(self) -> None:
        self.sessions: list[dict[str, Any]] = []
        self.faults: list[Exception] = []
        """What the next creations meet, one each."""
        self.attempts = 0
        self.sent: list[tuple[str, str, dict[str, Any] | None, str | None]] = []
        """What `send` was asked for: method, path, body, token."""
        self.on_send: Callable[[str, str, dict[str, Any], str | None], bytes] = _refuse

    async def get(self, path: str, *, query: Mapping[str, str]) -> bytes:
        for session in self.sessions:
            if path.endswith(f"/streamsessions/{session['metadata']['name']}"):
                return json.dumps(session).encode()
        return b'{"metadata":{"resourceVersion":"1"},"items":[]}'

    async def create(self, path: str, *, query: Mapping[str, str], body: Mapping[str, Any]) -> None:
        self.attempts += 1
        if self.faults:
            raise self.faults.pop(0)
        assert path == "/apis/podstream.dev/v1alpha1/namespaces/lab/streamsessions"
        self.sessions.append(dict(body))

    async def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] = MappingProxyType({}),
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
        token: str | None = None,
    ) -> bytes:
        self.sent.append((method, path, dict(body) if body is not None else None, token))
        return self.on_send(method, path, dict(body or {}), token)

    @asynccontextmanager
    async def lines(
        self, path: str, *, query: Mapping[str, str], silence_s: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        async def nothing() -> AsyncIterator[bytes]:
            await asyncio.Event().wait()
            yield b""

        yield nothing()


def session_route(name: str = "ball", **changes: Any) -> SessionRoute:
    """A session with sensible members."""
    route = SessionRoute(
        key=SessionKey("lab", name),
        uid=str(uuid.uuid4()),
        created=EPOCH,
        public=False,
        workloads=("circle",),
        phase="Ready",
    )
    return replace(route, **changes)


def pod_route(session: SessionRoute, **changes: Any) -> PodRoute:
    """A running pod of a session."""
    route = PodRoute(
        namespace=session.key.namespace,
        name=f"{session.key.name}-{uuid.uuid4().hex[:8]}",
        uid=str(uuid.uuid4()),
        ip=loopback_ip(),
        owner_uid=session.uid,
        session=session.key,
        created=EPOCH + timedelta(seconds=1),
    )
    return replace(route, **changes)


def pool_route(name: str = "media", **changes: Any) -> PoolRoute:
    """A pool with sensible members."""
    template = {"circle": {"frames": 3}, "access": {"mode": "Public"}, "futureMember": {"x": 1}}
    route = PoolRoute(
        key=PoolKey("lab", name),
        uid=str(uuid.uuid4()),
        created=EPOCH,
        public=True,
        template=json.dumps(template).encode(),
        workloads=("circle",),
        max=10,
    )
    return replace(route, **changes)


def idle_pod(pool: PoolRoute, **changes: Any) -> PodRoute:
    """A warm pod of a pool."""
    route = PodRoute(
        namespace=pool.key.namespace,
        name=f"{pool.key.name}-{uuid.uuid4().hex[:5]}",
        uid=str(uuid.uuid4()),
        ip=loopback_ip(),
        owner_uid=pool.uid,
        created=EPOCH + timedelta(seconds=1),
        pool=pool.key.name,
    )
    return replace(route, **changes)


@dataclass
class Harness:
    """A running router with the keys of its installation."""

    router: Router
    signing: SigningKey
    client_key: SigningKey
    stop: asyncio.Event
    api: QuietApi
    agents: list[FakeAgent] = field(default_factory=list)

    @property
    def keys(self) -> PublicKeys:
        """What pods know."""
        return PublicKeys.of(self.signing)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.router.ports['http']}{path}"

    def admin_url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.router.ports['admin']}{path}"

    def token(self, session: SessionRoute, **changes: Any) -> str:
        return self.client_key.sign(
            TokenType.CLIENT, **{"audience": CLIENT_AUDIENCE, "subject": session.uid, **changes}
        )

    def bearer(self, session: SessionRoute) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(session)}"}

    async def start_agent(
        self, session: SessionRoute, *, pod: PodRoute | None = None, announce: bool = True
    ) -> tuple[FakeAgent, PodRoute]:
        """Start a pod for a session and put it into the routes."""
        pod = pod or pod_route(session)
        agent = FakeAgent(pod.ip, pod.uid, session.uid, self.keys)
        await agent.start(control=PORTS.control, connect=PORTS.connect, stream=PORTS.stream)
        self.agents.append(agent)
        if announce:
            self.router.routes.upsert_pod(pod)
        return agent, pod

    async def add(
        self, name: str = "ball", **changes: Any
    ) -> tuple[SessionRoute, FakeAgent, PodRoute]:
        """A session with a running pod."""
        session = session_route(name, **changes)
        self.router.routes.upsert_session(session)
        agent, pod = await self.start_agent(session)
        return session, agent, pod


@asynccontextmanager
async def running_router(
    *,
    limits: Limits | None = None,
    installation: tuple[SigningKey, SigningKey] | None = None,
    certificate: Certificate | None = None,
    **changes: Any,
) -> AsyncIterator[Harness]:
    """Run a router on free ports, with the keys of another one where they are given."""
    settings = Settings(
        namespaces=("lab",),
        listeners=(
            Listener(name="http", port=0, protocol="http"),
            Listener(name="signalling", port=0, protocol="signalling"),
        ),
        bind_address="127.0.0.1",
        media_port=0,
        media_advertise=("192.0.2.1:3478", "198.51.100.7:30478"),
        admin_port=0,
        hold_timeout_s=5.0,
        drain_timeout_s=0.2,
        limits=limits or Limits(),
        agent_ports=PORTS,
    )
    settings = replace(settings, **changes)
    signing, client_key = installation or (SigningKey.generate(), SigningKey.generate())
    keys = Keys(signers=(signing,), client=PublicKeys.of(client_key), client_signer=client_key)
    api = QuietApi()
    router = Router(settings, api=api, keys=keys, certificate=certificate)
    stop = asyncio.Event()
    running = asyncio.create_task(router.run(stop))
    harness = Harness(router, signing, client_key, stop, api)
    try:
        await until(
            lambda: (
                running.done()
                or ("signalling" in router.ports and all(watch.synced for watch in router.watches))
            )
        )
        if running.done():
            await running
        yield harness
    finally:
        stop.set()
        await running
        for agent in harness.agents:
            await agent.stop()


async def until(condition: Any, *, timeout_s: float = 5.0) -> None:
    """Wait until a condition holds.

    Raises:
        TimeoutError: it does not come true.
    """
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - conditions of foreign code have no event
            await asyncio.sleep(0.005)


def metric(router: Router, name: str, **labels: str) -> float:
    """Value of one sample; 0 where it is not there."""
    return router.metrics.registry.get_sample_value(f"podstream_router_{name}", labels) or 0.0
