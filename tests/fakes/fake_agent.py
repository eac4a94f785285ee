"""The agent of a session pod as the router meets it: real HTTP and TCP on a loopback address.

Tokens are really checked, one slot is really held; what it answers can be set from outside.
"""

import asyncio
import uuid
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import msgspec
from aiohttp import web

from podstream_core.agentapi import (
    AgentPhase,
    AgentState,
    Assignment,
    ConnectionGrant,
    ErrorBody,
    MediaPath,
)
from podstream_core.api import Results
from podstream_core.names import CONNECTION_HEADER
from podstream_core.tokens import PublicKeys, TokenError, TokenType, pod_audience
from podstream_core.ufrag import make_ufrag

WhepAnswerer = Callable[[str], Awaitable[str]]
StreamHandler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def description(ufrag: str, *, host: str = "10.244.0.9", port: int = 20000) -> str:
    """A small description as a session pod writes it: one video section, one candidate."""
    return "\r\n".join(
        [
            "v=0",
            "o=- 3900000000 3900000000 IN IP4 0.0.0.0",
            "s=-",
            "t=0 0",
            "a=group:BUNDLE 0",
            f"m=video {port} UDP/TLS/RTP/SAVPF 97",
            f"c=IN IP4 {host}",
            "a=sendonly",
            "a=mid:0",
            "a=rtcp:9 IN IP4 0.0.0.0",
            "a=rtcp-mux",
            "a=rtpmap:97 VP8/90000",
            f"a=candidate:1 1 udp 2130706431 {host} {port} typ host",
            "a=end-of-candidates",
            f"a=ice-ufrag:{ufrag}",
            "a=ice-pwd:0123456789abcdefghijkl",
            "a=fingerprint:sha-256 " + ":".join(["AB"] * 32),
            "a=setup:active",
            "",
        ]
    )


@dataclass
class FakeAgent:
    """One session pod's agent."""

    ip: str
    pod_uid: str
    session_uid: str
    """Assignment that it works for; empty while it is idle."""
    keys: PublicKeys
    refusals: deque[tuple[int, str]] = field(default_factory=deque)
    """Refusals (status, code) that are used up one per connection attempt, before any other."""
    slots: int = 1
    """Holders at a time."""
    delay_s: float = 0.0
    """Time that an offer takes."""
    phase: AgentPhase = AgentPhase.READY
    offers: list[str] = field(default_factory=list)
    grants: list[ConnectionGrant] = field(default_factory=list)
    connections: dict[str, str] = field(default_factory=dict)
    """Holder by connection."""
    answerer: WhepAnswerer | None = None
    on_stream: StreamHandler | None = None
    results: Results | None = None
    on_media_path: Callable[[MediaPath], bool] = lambda _path: False
    assignments: list[Assignment] = field(default_factory=list)
    """Assignments that were accepted, without repetitions."""
    assign_refusals: deque[tuple[int, str]] = field(default_factory=deque)
    """Refusals (status, code) of assignments, used up before any other; 0 hangs up."""
    assign_delay_s: float = 0.0
    answers_to_lose: int = 0
    """So many assignments are accepted without a word."""
    drains: list[dict[str, str]] = field(default_factory=list)
    drain_refusals: deque[tuple[int, str]] = field(default_factory=deque)
    cut_artefacts: bool = False
    """Hang up in the middle of each."""
    artefacts: dict[str, bytes] = field(default_factory=dict)
    streams: list[asyncio.StreamWriter] = field(default_factory=list)
    _runners: list[web.AppRunner] = field(default_factory=list)
    _server: asyncio.Server | None = None

    async def start(self, *, control: int, connect: int, stream: int) -> None:
        """Listen on the three ports."""
        connect_app, control_app = web.Application(), web.Application()
        connect_app.router.add_post("/whep", self._post)
        connect_app.router.add_delete("/whep/{id}", self._delete)
        control_app.router.add_get("/state", self._state)
        control_app.router.add_get("/results", self._list)
        control_app.router.add_get("/results/{name}", self._artefact)
        control_app.router.add_post("/media-path", self._media_path)
        control_app.router.add_post("/assign", self._assign)
        control_app.router.add_post("/drain", self._drain)
        for app, port in ((connect_app, connect), (control_app, control)):
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            await web.TCPSite(runner, self.ip, port).start()
            self._runners.append(runner)
        self._server = await asyncio.start_server(self._stream, self.ip, stream)

    async def stop(self) -> None:
        """Close everything, as a killed pod does."""
        for runner in self._runners:
            await runner.cleanup()
        self._runners.clear()
        if self._server is not None:
            self._server.close()
            for writer in self.streams:
                writer.close()
            self._server = None

    def _check(self, token: str, kind: TokenType) -> dict[str, Any]:
        return self.keys.verify(token, kind=kind, audience=pod_audience(self.pod_uid))

    def _admit(self, token: str) -> ConnectionGrant | tuple[int, str]:
        """Take the slot for a token; a refusal is (status, code)."""
        try:
            claims = self._check(token, TokenType.CONNECTION)
        except TokenError:
            return 401, "InvalidToken"
        grant = ConnectionGrant.from_body(claims)
        if not self.session_uid:
            return 425, "NotReady"
        if grant.session_uid != self.session_uid or claims["sub"] != self.session_uid:
            return 401, "InvalidToken"
        if self.refusals:
            return self.refusals.popleft()
        if len({*self.connections.values()} - {grant.holder}) >= self.slots:
            return 409, "Busy"
        return grant

    async def _post(self, request: web.Request) -> web.Response:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        offer = await request.text()
        admitted = self._admit(token)
        if not isinstance(admitted, ConnectionGrant):
            return _refusal(*admitted)
        self.grants.append(admitted)
        self.offers.append(offer)
        connection = uuid.uuid4().hex
        self.connections[connection] = admitted.holder
        await asyncio.sleep(self.delay_s)
        if self.answerer is not None:
            answer = await self.answerer(offer)
        else:
            answer = description(make_ufrag(self.pod_uid, port=20000), host=self.ip)
        return web.Response(
            status=201,
            text=answer,
            content_type="application/sdp",
            headers={CONNECTION_HEADER: connection},
        )

    async def _delete(self, request: web.Request) -> web.Response:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        try:
            self._check(token, TokenType.CONNECTION)
        except TokenError:
            return _refusal(401, "InvalidToken")
        if self.connections.pop(request.match_info["id"], None) is None:
            return _refusal(404, "NoSuchConnection")
        return web.Response()

    async def _state(self, request: web.Request) -> web.Response:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        try:
            self._check(token, TokenType.CONTROL)
        except TokenError:
            return _refusal(401, "InvalidToken")
        return self._tell()

    async def _list(self, request: web.Request) -> web.Response:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        try:
            self._check(token, TokenType.CONTROL)
        except TokenError:
            return _refusal(401, "InvalidToken")
        items = [
            {"name": name, "size": len(content), "sha256": sha256(content).hexdigest()}
            for name, content in self.artefacts.items()
        ]
        return web.json_response({"items": items, "results": None})

    async def _artefact(self, request: web.Request) -> web.StreamResponse:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        try:
            self._check(token, TokenType.CONTROL)
        except TokenError:
            return _refusal(401, "InvalidToken")
        content = self.artefacts.get(request.match_info["name"])
        if content is None:
            return _refusal(404, "NoSuchArtefact")
        response = web.StreamResponse(headers={"Podstream-Sha256": sha256(content).hexdigest()})
        if "Range" in request.headers:
            part = range(len(content))[request.http_range]
            if not part:
                return _refusal(416, "RangeNotSatisfiable")
            response.set_status(206)
            response.headers["Content-Range"] = f"bytes {part[0]}-{part[-1]}/{len(content)}"
            content = content[part.start : part.stop]
        response.content_length = len(content)
        await response.prepare(request)
        if self.cut_artefacts:
            await response.write(content[: len(content) // 2])
            _hang_up(request)
        else:
            await response.write(content)
        return response

    async def _assign(self, request: web.Request) -> web.Response:
        token = (await request.json())["token"]
        await asyncio.sleep(self.assign_delay_s)
        if self.assign_refusals:
            status, code = self.assign_refusals.popleft()
            if not status:
                _hang_up(request)
            return _refusal(status or 500, code)
        try:
            claims = self._check(token, TokenType.ASSIGNMENT)
        except TokenError:
            return _refusal(401, "InvalidToken")
        assignment = Assignment.from_body(claims)
        assert claims["sub"] == assignment.assignment_id
        if self.session_uid not in ("", assignment.assignment_id):
            return _refusal(409, "AlreadyAssigned")
        if not self.session_uid:
            self.session_uid = assignment.assignment_id
            self.assignments.append(assignment)
        if self.answers_to_lose:
            self.answers_to_lose -= 1
            _hang_up(request)
        return self._tell()

    async def _drain(self, request: web.Request) -> web.Response:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        try:
            self._check(token, TokenType.CONTROL)
        except TokenError:
            return _refusal(401, "InvalidToken")
        if self.drain_refusals:
            return _refusal(*self.drain_refusals.popleft())
        self.drains.append(await request.json())
        self.connections.clear()
        return web.json_response({}, status=202)

    def _tell(self) -> web.Response:
        state = AgentState(
            pod_uid=self.pod_uid,
            phase=self.phase,
            assignment_id=self.session_uid or None,
            results=self.results,
        )
        return web.Response(body=msgspec.json.encode(state), content_type="application/json")

    async def _media_path(self, request: web.Request) -> web.Response:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        try:
            self._check(token, TokenType.CONTROL)
        except TokenError:
            return _refusal(401, "InvalidToken")
        path = msgspec.json.decode(await request.read(), type=MediaPath)
        if not self.on_media_path(path):
            return _refusal(404, "NoSuchConnection")
        return web.json_response({})

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.streams.append(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            preamble = msgspec.json.decode(await reader.readuntil(b"\n"))
            admitted = self._admit(preamble["token"])
            if not isinstance(admitted, ConnectionGrant):
                body = ErrorBody(error=admitted[1], message="refused by the fake")
                writer.write(msgspec.json.encode(body) + b"\n")
            else:
                self.grants.append(admitted)
                connection = uuid.uuid4().hex
                self.connections[connection] = admitted.holder
                writer.write(msgspec.json.encode({"ok": True, "connection": connection}) + b"\n")
                if self.on_stream is not None:
                    await self.on_stream(reader, writer)
                del self.connections[connection]
        writer.close()


def _hang_up(request: web.Request) -> None:
    assert request.transport is not None
    request.transport.abort()


def _refusal(status: int, error: str) -> web.Response:
    body = ErrorBody(error=error, message=f"refused by the fake: {error}")
    return web.Response(
        status=status, body=msgspec.json.encode(body), content_type="application/json"
    )
