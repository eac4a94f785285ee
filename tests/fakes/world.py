"""The whole operator in one event loop: fake API server, fake kubelet, fake agents, real rest."""

import asyncio
import inspect
import logging
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import Any

import aiohttp
import kopf
from kubernetes.aio.client import Configuration

from fakes.agent import FakeAgent, running_agent
from fakes.clock import MovableClock
from fakes.crash import Crash
from fakes.kube_api import Body, FakeKubeApi, running_kube_api
from podstream_core import names
from podstream_core.agentapi import AgentState, SessionRef
from podstream_core.termination import encode_termination
from podstream_core.tokens import PublicKeys, SigningKey
from podstream_operator.agents import AgentClient, HttpAgentClient
from podstream_operator.app import Operator
from podstream_operator.cluster import KubeClient
from podstream_operator.cluster.aio_client import AioKubeClient
from podstream_operator.facts import PodFacts, Site
from podstream_operator.keys import Keys
from podstream_operator.leader import Fence
from podstream_operator.metrics import Metrics
from podstream_operator.settings import OperatorSettings

NAMESPACE = "media"
SITE = Site(
    external_url="http://127.0.0.1:8080",
    cluster_url="http://podstream-router.media.svc:8080",
    signalling_address="127.0.0.1:50052",
    signalling_cluster_address="podstream-router.media.svc:50052",
    grpc_address="127.0.0.1:50051",
    grpc_cluster_address="podstream-router.media.svc:50051",
    frames_address="127.0.0.1:953",
    frames_cluster_address="podstream-router.media.svc:953",
)
PATIENCE_S = 5.0


def session_body(name: str = "ball", **spec: Any) -> Body:
    """A StreamSession as a user applies it."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.SESSION_KIND,
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"circle": {"frames": 600}, **spec},
    }


def pool_body(name: str = "media", *, spec: Body | None = None, **members: Any) -> Body:
    """A StreamPool as the API server stores it."""
    template = {"circle": {"frames": 600}, "access": {"mode": "Public"}, **(spec or {})}
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.POOL_KIND,
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"template": {"spec": template}, **members},
    }


async def eventually(check: Callable[[], Any], *, within_s: float = PATIENCE_S) -> Any:
    """Wait until a condition holds; its value."""
    try:
        async with asyncio.timeout(within_s):
            while not (value := check()):  # noqa: ASYNC110 - any condition, no event to await
                await asyncio.sleep(0.005)
            return value
    except TimeoutError:
        raise AssertionError(f"did not come true within {within_s} s") from None


class World:
    """What a test sees and moves."""

    def __init__(self, api: FakeKubeApi, *, clock: MovableClock, stack: AsyncExitStack) -> None:
        self.api = api
        self.clock = clock
        self.keys = Keys((SigningKey.generate(),), SigningKey.generate())
        self.agents: dict[str, FakeAgent] = {}
        self.auto_boot = True
        self.auto_ready = True
        self.drain_finishes = True
        self.reject_spec: str | None = None
        self.operator: Operator
        self.process: asyncio.Task[None]
        """The operator's; it ends with the operator."""
        self._urls: dict[str, str] = {}
        self._retired: asyncio.Queue[Body] = asyncio.Queue()
        self._stops: list[asyncio.Event] = []
        self._stack = stack
        self._seen: set[str] = set()

    # Looking

    def session(self, name: str = "ball") -> Body | None:
        return self.api.get(names.SESSION_PLURAL, NAMESPACE, name)

    def status(self, name: str = "ball") -> Body:
        status: Body = (self.session(name) or {}).get("status", {})
        return status

    def phase(self, name: str = "ball") -> str | None:
        return self.status(name).get("phase")

    def condition(self, kind: str, name: str = "ball") -> Body:
        found = [item for item in self.status(name).get("conditions", []) if item["type"] == kind]
        return found[0] if found else {}

    def pods(self, role: str = names.ROLE_SESSION) -> list[Body]:
        return [
            pod
            for pod in self.api.all("pods")
            if pod["metadata"]["labels"].get(names.LABEL_ROLE) == role
        ]

    def pool(self, name: str = "media") -> Body | None:
        return self.api.get(names.POOL_PLURAL, NAMESPACE, name)

    def pool_status(self, name: str = "media") -> Body:
        status: Body = (self.pool(name) or {}).get("status", {})
        return status

    def agent_of(self, pod: Body) -> FakeAgent:
        return self.agents[pod["metadata"]["uid"]]

    def agent(self) -> FakeAgent:
        """The newest agent."""
        return list(self.agents.values())[-1]

    def event_reasons(self) -> list[str]:
        return [event["reason"] for event in self.api.all("events")]

    # Moving

    async def apply(self, name: str = "ball", **spec: Any) -> Body:
        return await self.api.create(names.SESSION_PLURAL, session_body(name, **spec))

    async def change(self, edit: Callable[[Body], None], name: str = "ball") -> None:
        """Edit a session's spec; its generation counts up."""

        def apply(body: Body) -> None:
            edit(body["spec"])
            body["metadata"]["generation"] = body["metadata"].get("generation", 1) + 1

        await self.api.edit(names.SESSION_PLURAL, NAMESPACE, name, apply)

    async def apply_pool(self, name: str = "media", **spec: Any) -> Body:
        return await self.api.create(names.POOL_PLURAL, pool_body(name, **spec))

    async def demand(self, waiting: int, *, pool: str = "media", router: str = "router-0") -> int:
        """Tell the operator how many connections wait, as a router does."""
        body = {"namespace": NAMESPACE, "pool": pool, "waiting": waiting, "router": router}
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"http://127.0.0.1:{self.operator.http_port}/demand", json=body) as response,
        ):
            return response.status

    async def connect(self, pod: Body, *, session: str, pool: str = "media", **spec: Any) -> str:
        """Assign a pod to a connection as a router does, and create its session."""
        uid = pod["metadata"]["uid"]
        assignment = str(uuid.uuid4())
        agent = self.agents[uid]
        agent.assign_locally(
            assignment, SessionRef(namespace=NAMESPACE, name=session, uid=assignment)
        )
        body = session_body(session, poolRef={"name": pool}, access={"mode": "Public"}, **spec)
        body["metadata"] |= {
            "labels": {names.LABEL_POOL: pool},
            "annotations": {
                names.ANNOTATION_ASSIGNMENT: f"{assignment}/{pod['metadata']['name']}/{uid}",
                names.ANNOTATION_ARRIVED_AT: self.clock.now().isoformat(),
                names.ANNOTATION_ORIGIN: "Warm",
            },
        }
        await self.api.create(names.SESSION_PLURAL, body)
        return assignment

    async def reach(self, phase: str, name: str = "ball") -> Body:
        await eventually(lambda: self.phase(name) == phase)
        return self.status(name)

    async def hint(self, name: str = "ball") -> int:
        """Tell the operator to look, as a router does."""
        async with (
            aiohttp.ClientSession() as http,
            http.post(
                f"http://127.0.0.1:{self.operator.http_port}/hint",
                json={"namespace": NAMESPACE, "name": name},
            ) as response,
        ):
            return response.status

    async def look_again(self, name: str = "ball") -> None:
        """Hint, and wait until the newest agent was asked."""
        asked = len(self.agent().calls)
        await self.hint(name)
        await eventually(lambda: len(self.agent().calls) > asked)

    async def fetch(self, path: str) -> tuple[int, str]:
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"http://127.0.0.1:{self.operator.http_port}{path}") as response,
        ):
            return response.status, await response.text()

    async def set_pod_status(self, pod: Body, **status: Any) -> None:
        def change(body: Body) -> None:
            body["status"] = {**body.get("status", {}), **status}

        await self.api.edit("pods", NAMESPACE, pod["metadata"]["name"], change)

    async def boot(self, pod: Body) -> None:
        """Start a pod's container, and its agent."""
        uid = pod["metadata"]["uid"]
        role = pod["metadata"]["labels"][names.LABEL_ROLE]
        if role == names.ROLE_SESSION:
            agent = FakeAgent(uid, keys=PublicKeys.of(*self.keys.assignment), now=self.clock.now)
            agent.auto_ready = self.auto_ready
            agent.drain_finishes = self.drain_finishes
            agent.reject_spec = self.reject_spec
            agent.on_retire = partial(self._retired.put_nowait, pod)
            self.agents[uid] = agent
            self._urls[uid] = await self._stack.enter_async_context(running_agent(agent))
        started = self.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        await self.set_pod_status(
            pod,
            phase="Running",
            podIP="127.0.0.1",
            conditions=[{"type": "Ready", "status": "True"}],
            containerStatuses=[{"name": role, "state": {"running": {"startedAt": started}}}],
        )

    async def end_pod(
        self, pod: Body, *, exit_code: int, message: str = "", reason: str = "Error"
    ) -> None:
        """The container ends by itself."""
        role = pod["metadata"]["labels"][names.LABEL_ROLE]
        self._urls.pop(pod["metadata"]["uid"], None)
        ended = {"exitCode": exit_code, "reason": reason, "message": message}
        await self.set_pod_status(
            pod,
            phase="Succeeded" if exit_code == 0 else "Failed",
            containerStatuses=[{"name": role, "state": {"terminated": ended}}],
        )

    async def kill_pod(self, pod: Body, *, quiet: bool = False) -> None:
        """The pod object goes away, as after `kubectl delete pod --force`."""
        self._urls.pop(pod["metadata"]["uid"], None)
        await self.api.remove("pods", NAMESPACE, pod["metadata"]["name"], quiet=quiet)

    def hide(self, pod: Body) -> str:
        """Nobody reaches the pod's agent any more; where it was."""
        return self._urls.pop(pod["metadata"]["uid"])

    def show(self, pod: Body, address: str) -> None:
        """The agent is reached again."""
        self._urls[pod["metadata"]["uid"]] = address

    async def kubelet(self) -> None:
        """Start pods that appear, and remove those that are deleted."""
        version = 0
        while True:
            for pod in self.api.all("pods"):
                metadata = pod["metadata"]
                if metadata["uid"] not in self._seen and self.auto_boot:
                    self._seen.add(metadata["uid"])
                    with suppress(KeyError):  # removed while it booted
                        await self.boot(pod)
                elif "deletionTimestamp" in metadata:
                    await self.kill_pod(pod)
            version = await self.api.wait_for_change(version)

    async def end_retired(self) -> None:
        """An agent that was retired exits, and its pod has finished."""
        while True:
            pod = await self._retired.get()
            message = termination_message(self.agent_of(pod).state)
            with suppress(KeyError):  # deleted already
                await self.end_pod(pod, exit_code=0, message=message, reason="Completed")

    def resolve(self, pod: PodFacts) -> str:
        """Where a pod's agent listens; a closed port where it is gone."""
        return self._urls.get(pod.uid, "http://127.0.0.1:9")

    # The operator

    def stop_operators(self) -> None:
        """Tell all of them at once: kopf's end waits for what the others have begun since."""
        for stop in self._stops:
            stop.set()

    @asynccontextmanager
    async def running_operator(
        self, *, leads: bool = True, crash: Crash | None = None, **changes: Any
    ) -> AsyncIterator[Operator]:
        """One operator process, from start to stop.

        Args:
            leads: whether it gets the Lease at once; false: another holds it.
            crash: where it dies, if it does.
            changes: settings that differ.

        Raises:
            OperatorError: at the end, where it ended with one.
        """
        metrics = Metrics()
        fence = Fence()
        kube: KubeClient = AioKubeClient(
            Configuration(host=self.api.url), observer=metrics.api_call, may_write=fence.is_open
        )
        agents: AgentClient = HttpAgentClient(
            self.keys.assignment, observer=metrics.agent_call, resolve=self.resolve
        )
        if crash is not None:
            kube, agents = crash.kube(kube), crash.agents(agents)
        settings = OperatorSettings(
            **{
                "namespace": NAMESPACE,
                "namespaces": (NAMESPACE,),
                "site": SITE,
                "session_image": "podstream/session:test",
                "http_host": "127.0.0.1",
                "http_port": 0,
                "instance": "operator-test",
                "resync_seconds": 3600.0,
                **changes,
            }
        )
        self.operator = Operator(
            settings,
            keys=self.keys,
            kube=kube,
            agents=agents,
            metrics=metrics,
            clock=self.clock,
            fence=fence,
            login=lambda **_: kopf.ConnectionInfo(server=self.api.url),
        )
        stop = asyncio.Event()
        self._stops.append(stop)
        task = asyncio.create_task(self.operator.run(stop=stop), name="operator")
        self.process = task
        try:
            watches = "WATCH /apis/podstream.dev/v1alpha1/namespaces/media/streamsessions"
            seen = self.api.requests.count(watches)
            if leads:
                await eventually(lambda: task.done() or self.api.requests.count(watches) > seen)
            else:
                await eventually(lambda: task.done() or self.operator.elector.has_looked)
            if task.done():
                await task
            yield self.operator
        finally:
            stop.set()
            while not task.done():
                await asyncio.wait({task}, timeout=0.02)
                _end_pause_waiters()
            with suppress(asyncio.CancelledError):
                await task


def _end_pause_waiters() -> None:
    """A watch that kopf (1.45) ends while it handles an event leaves a task behind.

    kopf waits for it for five seconds; a process that was killed does not.
    """
    for task in asyncio.all_tasks():
        if task.get_name().startswith("pause-waiter"):
            task.cancel()


@asynccontextmanager
async def running_world() -> AsyncIterator[World]:
    """A cluster without an operator."""
    logging.getLogger("kopf").setLevel(logging.WARNING)
    clock = MovableClock()
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(running_kube_api(now=clock.now))
        world = World(api, clock=clock, stack=stack)
        works = [
            asyncio.create_task(world.kubelet(), name="kubelet"),
            asyncio.create_task(world.end_retired(), name="retired"),
        ]
        try:
            yield world
        finally:
            for work in works:
                work.cancel()
            await asyncio.gather(*works, return_exceptions=True)


def with_operator(test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """Give a test a cluster with a running operator, as its argument `world`.

    Not a fixture: kopf takes every task that began after it for its own and waits for it, and a
    fixture's end is such a task.
    """
    signature = inspect.signature(test)
    others = [item for name, item in signature.parameters.items() if name != "world"]

    async def run(**arguments: Any) -> None:
        async with running_world() as world, world.running_operator():
            await test(world=world, **arguments)

    run.__name__, run.__doc__, run.__module__ = test.__name__, test.__doc__, test.__module__
    run.__dict__.update(test.__dict__)
    run.__signature__ = signature.replace(parameters=others)  # type: ignore[attr-defined]
    return run


def termination_message(state: AgentState) -> str:
    """What the kubelet keeps of an agent's last record."""
    return encode_termination(state).decode()
