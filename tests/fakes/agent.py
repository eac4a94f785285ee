"""A session pod's agent as the operator meets it: real HTTP and tokens, scripted life."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiohttp import web

from podstream_core.agentapi import (
    AgentPhase,
    AgentState,
    Assignment,
    Failure,
    SessionRef,
    SpecUpdate,
)
from podstream_core.api import LiveSpec, Results, Timeline
from podstream_core.tokens import PublicKeys, TokenError, TokenType, pod_audience


class FakeAgent:
    """Answers as the contract says; a test moves it from phase to phase."""

    def __init__(
        self, pod_uid: str, *, keys: PublicKeys, now: Callable[[], datetime] | None = None
    ) -> None:
        self._keys = keys
        self._now = now or (lambda: datetime.now(UTC))
        self.auto_ready = True
        self.reject_spec: str | None = None
        self.drains: list[dict[str, Any]] = []
        self.assignments: list[Assignment] = []
        self.updates: list[SpecUpdate] = []
        self.update_refusal = ""
        self.calls: list[str] = []
        self.ready = True
        self.confirmed = False
        """Somebody has shown that it knows of the session."""
        self.drain_finishes = True
        self.state = AgentState(pod_uid=pod_uid, phase=AgentPhase.IDLE)
        self.on_retire: Callable[[], None] = lambda: None
        """The process ends."""
        self.answer: Callable[[web.Request], Awaitable[web.Response]] | None = None
        """Takes all calls, where set."""

    def set_clock(self, now: Callable[[], datetime]) -> None:
        """Let its clock show something else from now on."""
        self._now = now

    def move(self, phase: AgentPhase, **changes: Any) -> None:
        """Go to a phase; the timeline follows."""
        stamps = {
            AgentPhase.READY: "ready_at",
            AgentPhase.CONNECTED: "connected_at",
            AgentPhase.COMPLETED: "completed_at",
            AgentPhase.FAILED: "completed_at",
        }
        timeline = self.state.timeline
        stamp = stamps.get(phase)
        if stamp and getattr(timeline, stamp) is None:
            timeline = msgspec.structs.replace(timeline, **{stamp: self._now()})
        self.state = msgspec.structs.replace(self.state, phase=phase, timeline=timeline, **changes)

    def assign_locally(self, assignment_id: str, session: SessionRef) -> None:
        """Take an assignment as if a router had sent it."""
        assert self.state.assignment_id is None
        self.state = msgspec.structs.replace(
            self.state,
            phase=AgentPhase.STARTING,
            assignment_id=assignment_id,
            session=session,
            timeline=Timeline(assigned_at=self._now()),
        )
        self.move(AgentPhase.READY)

    def measure(self, results: Results) -> None:
        """Set the figures."""
        self.state = msgspec.structs.replace(self.state, results=results)

    async def handle(self, request: web.Request) -> web.Response:
        """Answer a call of the control API."""
        self.calls.append(f"{request.method} {request.path}")
        if self.answer is not None:
            return await self.answer(request)
        if request.path == "/assign":
            return await self._assign(request)
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        try:
            self._keys.verify(
                token, kind=TokenType.CONTROL, audience=pod_audience(self.state.pod_uid)
            )
        except TokenError as error:
            return _refuse(401, "InvalidToken", str(error))
        if request.path == "/drain":
            return await self._drain(request)
        if request.path == "/spec":
            return await self._update(request)
        if request.path == "/retire":
            return self._retire()
        self.confirmed |= request.query.get("confirm") != "false"
        return web.json_response(self.state.to_body())

    async def _assign(self, request: web.Request) -> web.Response:
        token = (await request.json())["token"]
        try:
            claims = self._keys.verify(
                token, kind=TokenType.ASSIGNMENT, audience=pod_audience(self.state.pod_uid)
            )
        except TokenError as error:
            return _refuse(401, "InvalidToken", str(error))
        assignment = Assignment.from_body(claims)
        if self.reject_spec:
            return _refuse(422, "SpecRejected", self.reject_spec)
        taken = self.state.assignment_id not in (None, assignment.assignment_id)
        if taken or self.state.phase is AgentPhase.DRAINING:
            return _refuse(409, "AlreadyAssigned", "another session was first")
        if self.state.assignment_id is None:
            self.assignments.append(assignment)
            self.state = msgspec.structs.replace(
                self.state,
                phase=AgentPhase.STARTING,
                assignment_id=assignment.assignment_id,
                session=assignment.session,
                timeline=Timeline(assigned_at=self._now()),
                live=LiveSpec.of(assignment.spec),
            )
            if self.auto_ready:
                self.move(AgentPhase.READY)
        return web.json_response(self.state.to_body())

    async def _update(self, request: web.Request) -> web.Response:
        change = SpecUpdate.from_body(await request.json())
        assert change.assignment_id == self.state.assignment_id
        if self.update_refusal:
            return _refuse(425, self.update_refusal, "refused by the fake")
        self.updates.append(change)
        self.state = msgspec.structs.replace(self.state, live=change.live)
        return web.json_response(self.state.to_body())

    def _retire(self) -> web.Response:
        if self.state.phase is not AgentPhase.IDLE:
            return _refuse(409, "AlreadyAssigned", "this pod works for a session")
        self.state = msgspec.structs.replace(self.state, phase=AgentPhase.DRAINING)
        self.on_retire()
        return web.json_response(self.state.to_body())

    async def _drain(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.drains.append(body)
        if self.drain_finishes:
            failure = Failure(reason=body["reason"], message=body["message"])
            results = self.state.results
            final = None if results is None else msgspec.structs.replace(results, final=True)
            self.move(AgentPhase.FAILED, failure=failure, results=final)
        else:
            self.move(AgentPhase.DRAINING)
        return web.json_response({}, status=202)


def _refuse(status: int, error: str, message: str) -> web.Response:
    return web.json_response({"error": error, "message": message}, status=status)


@asynccontextmanager
async def running_agent(agent: FakeAgent) -> AsyncIterator[str]:
    """Serve an agent on the loopback; its base URL."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", agent.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
