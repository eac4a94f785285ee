"""Runs one session on this machine, from its assignment to its last figures.

Human lines go to standard error; standard output gets one JSON document at the end, and whatever
the workload itself prints.
"""

import asyncio
import json
import shutil
import sys
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from podstream_core.agentapi import AgentPhase, AgentState, Assignment, Failure, SessionRef
from podstream_core.api import AccessMode, CameraSourceType, StreamSession
from podstream_core.logs import LogFormat
from podstream_core.ports import LISTENERS
from podstream_core.tokens import (
    CLIENT_AUDIENCE,
    PublicKeys,
    SigningKey,
    TokenType,
    pod_audience,
)
from podstream_workloads.agent.agent import Agent
from podstream_workloads.agent.roster import StoredArtefact
from podstream_workloads.agent.runtime import BoundPorts, run_agent
from podstream_workloads.agent.settings import AgentSettings
from podstream_workloads.local.client_process import ClientProcess
from podstream_workloads.local.gateway import HOST, Gateway

REPORT_PERIOD_S: Final = 3.0
SIGNALLING: Final = "signalling"
DEFAULT_SIGNALLING_PORT: Final = next(item.port for item in LISTENERS if item.name == SIGNALLING)
FRAMES: Final = "frames"
DEFAULT_FRAMES_PORT: Final = 10_000 + next(item.port for item in LISTENERS if item.name == FRAMES)
"""As the router's container listens: the real port is for root alone."""
DEFAULT_WEB_PORT: Final = 5001
"""Where cameras and alarms of intruder detection look for their edge."""
DEFAULT_GRPC_PORT: Final = next(item.port for item in LISTENERS if item.name == "grpc")
_NEVER_S: Final = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How a session is run."""

    port: int
    """HTTP port of the WHEP endpoint; 0: any free one."""
    signalling_port: int
    """TCP port of the signalling listener, where the spec names it; 0: any free one."""
    grpc_port: int
    """TCP port of gRPC, where the spec has image operations; 0: any free one."""
    frames_port: int
    """TCP port of raw frames, where the spec names that listener; 0: any free one."""
    web_port: int
    """TCP port of tracking's paths, where the spec has some; 0: any free one."""
    artefacts: Path | None
    """Folder for the files that the session finishes; without it they are dropped."""
    volumes: Path
    """Folder below which the session's volumes lie, as in a pod."""
    log_level: str
    log_format: LogFormat
    registry: Mapping[str, str]
    """Workload -> `module:Class`."""
    client_command: Sequence[str]
    """Command of the built-in client, without flags."""


class LocalRun:
    """One session on this machine."""

    def __init__(self, session: StreamSession, options: RunOptions) -> None:
        self._session = session
        self._options = options
        self._pod_uid = str(uuid.uuid4())
        self._pod_key = SigningKey.generate()
        self._client_key = SigningKey.generate()
        self._stop = asyncio.Event()
        self._started: asyncio.Future[tuple[Agent, BoundPorts]] = (
            asyncio.get_running_loop().create_future()
        )

    def stop(self) -> None:
        """Drain the session and end."""
        self._stop.set()

    async def run(self) -> AgentState:
        """Run the session to its end; return its last state.

        Raises:
            OSError: a port is taken or a process cannot be started.
        """
        with tempfile.TemporaryDirectory(prefix="podstream-") as folder:
            settings = AgentSettings(
                pod_uid=self._pod_uid,
                pod_ip=HOST,
                public_keys=PublicKeys.of(self._pod_key),
                listen_host=HOST,
                control_port=0,
                connect_port=0,
                stream_port=0,
                workloads=self._session.spec.workloads,
                termination_log=Path(folder) / "termination-log",
                scratch_dir=Path(folder),
                volumes_dir=self._options.volumes,
                confirm_timeout_s=_NEVER_S,
                log_level=self._options.log_level,
                log_format=self._options.log_format,
            )
            async with asyncio.TaskGroup() as group:
                serving = group.create_task(self._serve(), name="serve")
                try:
                    return await run_agent(
                        settings,
                        registry=self._options.registry,
                        stop=self._stop,
                        on_started=lambda agent, bound: self._started.set_result((agent, bound)),
                    )
                except BaseException:
                    # Else it ends by itself with the session, and takes the client along.
                    serving.cancel()
                    raise

    async def _serve(self) -> None:
        """Do what operator and router do, until the session has ended."""
        agent, bound = await self._started
        async with AsyncExitStack() as stack:
            gateway = Gateway(
                self._session,
                pod_uid=self._pod_uid,
                agent_ports=bound,
                pod_key=self._pod_key,
                client_key=self._client_key,
            )
            http_port = await gateway.open(stack, port=self._options.port)
            url = f"http://{HOST}:{http_port}{gateway.path}"
            token, reached = self._client_token(), self._session.spec.reached_workloads
            speaks_webrtc = "circle" in reached or self._session.spec.is_published
            if speaks_webrtc:
                say(f"{gateway.protocol.value:12}{url}")
                if token is not None:
                    say(f"token       {token}")
            if self._session.spec.image_ops is not None:
                port = await gateway.open_grpc(stack, port=self._options.grpc_port)
                say(f"gRPC        {HOST}:{port}")
            if self._session.spec.stream is not None:
                say(f"view        http://{HOST}:{http_port}{gateway.base}/mjpeg")
                if token is not None and not speaks_webrtc:
                    say(f"token       {token}")
            if self._session.spec.tracking is not None:
                await self._serve_tracking(stack, gateway, url=url, token=token)
            if FRAMES in self._session.spec.listeners:
                port = await gateway.open_frames(stack, port=self._options.frames_port)
                say(f"frames      {HOST}:{port}")
            if SIGNALLING in self._session.spec.listeners:
                port = await gateway.open_signalling(stack, port=self._options.signalling_port)
                say(f"signalling  {HOST}:{port}")
            self._assign(agent)
            watchers = await stack.enter_async_context(asyncio.TaskGroup())
            reporting = watchers.create_task(_report(agent), name="report")
            stack.callback(reporting.cancel)
            watching = watchers.create_task(self._watch_deadlines(agent), name="deadlines")
            stack.callback(watching.cancel)
            if self._session.spec.client.built_in:
                client = await ClientProcess.start(
                    self._session.spec,
                    url=url,
                    token=token,
                    command=self._options.client_command,
                )
                stack.push_async_callback(client.stop)
                following = watchers.create_task(_follow_client(client, agent), name="client")
                stack.callback(following.cancel)
            await agent.ended.wait()
            if self._options.artefacts is not None:
                await asyncio.to_thread(_keep, agent.artefacts(), self._options.artefacts)
            # Nobody fetches artefacts from here, so nothing lingers.
            self._stop.set()

    async def _serve_tracking(
        self, stack: AsyncExitStack, gateway: Gateway, *, url: str, token: str | None
    ) -> None:
        camera = getattr(self._session.spec.tracking, "camera", None)
        if camera is None or camera.source.type is CameraSourceType.SOCKET_IO:
            port = await gateway.open_web(stack, port=self._options.web_port)
            say(f"web         http://{HOST}:{port}")
        elif camera.source.type is CameraSourceType.WHIP:
            say(f"WHIP        {url}")
            if token is not None:
                say(f"token       {token}")

    def _assign(self, agent: Agent) -> None:
        meta = self._session.metadata
        assignment = Assignment(
            assignment_id=meta.uid,
            session=SessionRef(namespace=meta.namespace, name=meta.name, uid=meta.uid),
            spec=self._session.spec,
        )
        token = self._pod_key.sign(
            TokenType.ASSIGNMENT,
            audience=pod_audience(self._pod_uid),
            subject=meta.uid,
            claims=assignment.to_body(),
        )
        agent.assign(token)

    def _client_token(self) -> str | None:
        spec = self._session.spec
        if spec.access.mode is AccessMode.PUBLIC:
            return None
        return self._client_key.sign(
            TokenType.CLIENT,
            audience=CLIENT_AUDIENCE,
            subject=self._session.metadata.uid,
            lifetime_s=spec.active_deadline_seconds,
        )

    async def _watch_deadlines(self, agent: Agent) -> None:
        """End a session that outlives its spec's timeouts, as the operator does."""
        spec = self._session.spec
        async with asyncio.TaskGroup() as group:
            group.create_task(
                _drain_after(agent, spec.active_deadline_seconds, reason="DeadlineExceeded")
            )
            if not await _becomes(agent, within_s=spec.startup_timeout_seconds, ready=True):
                await agent.drain(_failure("StartupTimeout", spec.startup_timeout_seconds))
            elif spec.needs_client and not await _becomes(
                agent, within_s=spec.idle_timeout_seconds, ready=False
            ):
                await agent.drain(_failure("IdleTimeout", spec.idle_timeout_seconds))


def _keep(artefacts: Sequence[StoredArtefact], folder: Path) -> None:
    """Copy a session's files before its folder is removed."""
    folder.mkdir(parents=True, exist_ok=True)
    for named in artefacts:
        artefact = named.current()
        if artefact is None:
            continue
        shutil.copyfile(artefact.path, folder / artefact.name)
        say(f"kept        {folder / artefact.name}")


def _failure(reason: str, seconds: float) -> Failure:
    return Failure(reason=reason, message=f"the session did not get further within {seconds:g} s")


async def _drain_after(agent: Agent, seconds: float, *, reason: str) -> None:
    await asyncio.sleep(seconds)
    await agent.drain(_failure(reason, seconds))


async def _becomes(agent: Agent, *, within_s: float, ready: bool) -> bool:
    """Whether the session becomes ready, or is connected to for the first time, in time."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    while True:
        timeline = agent.state().timeline
        if (timeline.ready_at if ready else timeline.connected_at) is not None:
            return True
        if loop.time() >= deadline:
            return False
        await asyncio.sleep(0.1)


async def _follow_client(client: ClientProcess, agent: Agent) -> None:
    code = await client.wait()
    if code != 0 and not agent.ended.is_set():
        message = f"the built-in client ended with exit status {code}; its output says why"
        await agent.drain(Failure(reason="ClientFailed", message=message))


async def _report(agent: Agent) -> None:
    """Say what changes: every phase at once, live figures every few seconds."""
    loop = asyncio.get_running_loop()
    phase: AgentPhase | None = None
    figures: Any = None
    next_figures = loop.time()
    while True:
        state = agent.state()
        if state.phase is not phase:
            phase = state.phase
            say(f"phase       {phase.value}")
        if state.results is not None and loop.time() >= next_figures:
            next_figures = loop.time() + REPORT_PERIOD_S
            latest = state.results.to_body()
            latest.pop("observedAt", None)
            latest.pop("final", None)
            if latest != figures:
                figures = latest
                say(f"results     {json.dumps(figures)}")
        await asyncio.sleep(0.1)


def say(line: str) -> None:
    """A line for the person at the terminal."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def final_report(session: StreamSession, state: AgentState) -> dict[str, Any]:
    """What is printed at the end, in the words of the session's status."""
    body = state.to_body()
    return {
        "session": str(session.key),
        "phase": state.phase.value,
        **{key: body[key] for key in ("failure", "timeline", "results") if key in body},
    }
