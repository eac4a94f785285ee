"""Runs a real agent process and speaks to it as operator and router do."""

import asyncio
import contextlib
import copy
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import psutil

from podstream_core.agentapi import AgentState, Assignment, ConnectionGrant, Protocol, SessionRef
from podstream_core.api import Circle, SessionSpec
from podstream_core.termination import decode_termination
from podstream_core.tokens import PublicKeys, SigningKey, TokenType, pod_audience

T = TypeVar("T")
TESTS = Path(__file__).resolve().parents[1]
KEY = SigningKey.generate()
POD_UID = "8d1f6a52-3d0a-4a0e-9a63-0f0ad2f6d1c1"
SESSION = SessionRef(namespace="default", name="ball", uid="c0ffee00-0000-4000-8000-000000000001")


def spec(**circle: Any) -> SessionSpec:
    return SessionSpec(circle=Circle(**circle), linger_seconds=0, reconnect_seconds=1)


def assignment_token(
    session_spec: SessionSpec | dict[str, Any],
    *,
    assignment_id: str = SESSION.uid,
    audience: str = pod_audience(POD_UID),
    kind: TokenType = TokenType.ASSIGNMENT,
    key: SigningKey = KEY,
    lifetime_s: float = 60,
    subject: str | None = None,
) -> str:
    if isinstance(session_spec, SessionSpec):
        assignment = Assignment(assignment_id=assignment_id, session=SESSION, spec=session_spec)
        claims = assignment.to_body()
    else:
        claims = {
            "assignmentId": assignment_id,
            "session": SESSION.to_body(),
            "spec": session_spec,
        }
    return key.sign(
        kind,
        audience=audience,
        subject=assignment_id if subject is None else subject,
        claims=claims,
        lifetime_s=lifetime_s,
    )


def control_token(*, audience: str = pod_audience(POD_UID), key: SigningKey = KEY) -> str:
    return key.sign(TokenType.CONTROL, audience=audience, subject="test")


def connection_token(
    *,
    holder: str = "anna",
    protocol: Protocol = Protocol.WHEP,
    role: str = "player",
    session_uid: str = SESSION.uid,
    workload: str = "circle",
) -> str:
    grant = ConnectionGrant(
        session_uid=session_uid,
        workload=workload,
        role=role,
        protocol=protocol,
        holder=holder,
        client_address="192.0.2.7",
    )
    return KEY.sign(
        TokenType.CONNECTION,
        audience=pod_audience(POD_UID),
        subject=session_uid,
        claims=grant.to_body(),
    )


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def error(self) -> str:
        return str(self.json["error"])


@dataclass
class AgentProcess:
    """The agent as a process of its own, on free ports of the loopback."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    wrapper: list[str] = field(default_factory=list)
    clients: list["StreamClient"] = field(default_factory=list)

    @property
    def record_path(self) -> Path:
        return self.folder / "termination-log"

    def launch(self) -> None:
        self._log = (self.folder / "log").open("wb")
        env = {
            **os.environ,
            "PYTHONPATH": str(TESTS),
            "POD_UID": POD_UID,
            "POD_IP": "127.0.0.1",
            "PODSTREAM_PUBLIC_KEYS": PublicKeys.of(KEY).to_jwks(),
            "PODSTREAM_LISTEN_HOST": "127.0.0.1",
            "PODSTREAM_CONTROL_PORT": "0",
            "PODSTREAM_CONNECT_PORT": "0",
            "PODSTREAM_STREAM_PORT": "0",
            "PODSTREAM_TERMINATION_LOG": str(self.record_path),
            "TMPDIR": str(self.folder),
            **self.env,
        }
        command = [*self.wrapper, sys.executable, "-m", "agent.echo_agent"]
        self.popen = subprocess.Popen(command, env=env, stdout=self._log, stderr=self._log)

    async def start(self) -> None:
        self.launch()
        entry = await self.logged("agent listens")
        self.ports = {name: entry[name] for name in ("control", "connect", "stream")}
        self.http = aiohttp.ClientSession()

    @contextlib.asynccontextmanager
    async def on_this_loop(self) -> AsyncIterator["AgentProcess"]:
        """The same process, called from another event loop."""
        other = copy.copy(self)
        other.clients = []
        async with aiohttp.ClientSession() as other.http:
            yield other
        await other.close_clients()

    async def close_clients(self) -> None:
        for client in self.clients:
            client.close()
            with contextlib.suppress(ConnectionError):
                await client.writer.wait_closed()

    async def close(self) -> None:
        await self.close_clients()
        if hasattr(self, "http"):
            await self.http.close()
        if self.popen.poll() is None:
            self.popen.kill()
        await asyncio.to_thread(self.popen.wait)
        self._log.close()

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    async def logged(self, message: str) -> dict[str, Any]:
        """The log entry with this message, once it is there."""

        def find() -> dict[str, Any] | None:
            for line in self.log.splitlines():
                if line.startswith("{") and (entry := json.loads(line))["message"] == message:
                    return dict(entry)
            assert self.popen.poll() is None, self.log
            return None

        return await eventually(find)

    async def call(
        self,
        method: str,
        path: str,
        *,
        port: str = "control",
        token: str | None = None,
        json_body: Any = None,
        data: bytes | str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        headers = dict(headers or {})
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        url = f"http://127.0.0.1:{self.ports[port]}{path}"
        async with self.http.request(
            method, url, json=json_body, data=data, headers=headers
        ) as response:
            return Answer(response.status, dict(response.headers), await response.text())

    async def assign(self, token: str) -> Answer:
        return await self.call("POST", "/assign", json_body={"token": token})

    async def state(self) -> AgentState:
        answer = await self.call("GET", "/state", token=control_token())
        assert answer.status == 200, answer.text
        return AgentState.from_body(answer.json)

    async def reaches(self, is_there: Callable[[AgentState], bool]) -> AgentState:
        """The agent's state, once it fulfils a condition."""
        async with asyncio.timeout(10):
            while True:
                state = await self.state()
                if is_there(state):
                    return state
                await asyncio.sleep(0.02)

    async def is_warm(self) -> None:
        """Wait until the pod is ready: its workloads are loaded."""
        async with asyncio.timeout(20):
            while (await self.call("GET", "/readyz")).status != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def assigned(self, **circle: Any) -> AgentState:
        answer = await self.assign(assignment_token(spec(**circle)))
        assert answer.status == 200, answer.text
        return await self.reaches(lambda state: state.phase.value == "Ready")

    async def whep(
        self,
        offer: str = "v=0",
        *,
        holder: str = "anna",
        token: str | None = None,
        content_type: str = "application/sdp",
    ) -> Answer:
        return await self.call(
            "POST",
            "/whep",
            port="connect",
            token=token or connection_token(holder=holder),
            data=offer,
            headers={"Content-Type": content_type},
        )

    async def stream(
        self, *, holder: str = "anna", role: str = "player", after: bytes = b""
    ) -> "StreamClient":
        token = connection_token(holder=holder, protocol=Protocol.SIGNALLING, role=role)
        client = await self.raw_stream()
        await client.send(json.dumps({"token": token}).encode() + b"\n" + after)
        return client

    async def raw_stream(self) -> "StreamClient":
        return await self.dial("stream")

    async def dial(self, port: str) -> "StreamClient":
        """A raw connection that is closed with the harness."""
        client = StreamClient(*await asyncio.open_connection("127.0.0.1", self.ports[port]))
        self.clients.append(client)
        return client

    def child(self) -> psutil.Process:
        (found,) = psutil.Process(self.popen.pid).children()
        return found

    async def exit_code(self, *, within_s: float = 10) -> int:
        async with asyncio.timeout(within_s):
            return await asyncio.to_thread(self.popen.wait)

    def terminate(self) -> None:
        self.popen.send_signal(signal.SIGTERM)

    def record(self) -> AgentState:
        state = decode_termination(self.record_path.read_text())
        assert state is not None
        return state


@dataclass
class StreamClient:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def line(self) -> bytes:
        async with asyncio.timeout(5):
            return await self.reader.readline()

    async def reply(self) -> Any:
        return json.loads(await self.line())

    async def ended(self) -> bytes:
        """What is left until the agent closes."""
        async with asyncio.timeout(5):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""

    def close(self) -> None:
        self.writer.close()


async def eventually(find: Callable[[], T | None], *, within_s: float = 60) -> T:
    """What `find` gives once it gives something true."""
    deadline = time.monotonic() + within_s
    while not (found := find()):
        assert time.monotonic() < deadline, "did not happen in time"
        await asyncio.sleep(0.02)
    return found


async def nobody_connected(agent: AgentProcess, *, within_s: float = 10) -> None:
    """Wait until the agent has noticed that its clients are gone; their slots may be reserved."""
    async with asyncio.timeout(within_s):
        # Another process: its answers are all there is to wait for.
        while any(info.connected for info in (await agent.state()).connections):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def new_id() -> str:
    return str(uuid.uuid4())
