"""The agent: one assignment, its workloads, its connections, its end.

Owns the session of the pod. All state changes happen on the event loop between two awaits, so the
first assignment wins by construction. Whatever happens ends in `_step`, which asks the pure
decisions of `gate` and `lifecycle` and acts on them::

    Idle -> Starting -> Ready <-> Connected -> Draining -> Completed | Failed

Knows no HTTP: the ports translate calls to methods and `Refusal`s to answers.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from podstream_core.agentapi import AgentPhase, AgentState, Assignment, ConnectionGrant, Failure
from podstream_core.api import Timeline
from podstream_core.tokens import pod_audience
from podstream_workloads.agent.children import CONFIGURE_TIMEOUT_S, ChildGoneError
from podstream_workloads.agent.connections import Connections
from podstream_workloads.agent.errors import Refusal
from podstream_workloads.agent.lifecycle import End, WorkloadView, decide, decide_drain
from podstream_workloads.agent.metrics import AgentMetrics
from podstream_workloads.agent.processes import describe_exit
from podstream_workloads.agent.record import TerminationLog
from podstream_workloads.agent.roster import Member, Roster, StoredArtefact
from podstream_workloads.agent.settings import AgentSettings
from podstream_workloads.agent.tokens import TokenReader, check_assignable
from podstream_workloads.agent.wire import ConfigureCall, Event, EventKind
from podstream_workloads.agent.workload import MediaAddress

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentParts:
    """What an agent is made of."""

    settings: AgentSettings
    registry: Mapping[str, str]
    """Workload -> `module:Class`."""
    media: MediaAddress
    roster: Roster
    record: TerminationLog
    metrics: AgentMetrics
    folder: Path
    """Private folder; artefacts go below it."""
    group: asyncio.TaskGroup
    """Owner of every task of the agent."""


class Agent:
    """The session of one pod."""

    def __init__(self, parts: AgentParts) -> None:
        self._parts = parts
        self._settings = parts.settings
        self._roster = parts.roster
        self._tokens = TokenReader(
            parts.settings.public_keys, audience=pod_audience(parts.settings.pod_uid)
        )
        self._loop = asyncio.get_running_loop()
        self._phase = AgentPhase.IDLE
        self._assignment: Assignment | None = None
        self._failure: Failure | None = None
        self._timeline = Timeline()
        self.connections = Connections(
            roster=parts.roster,
            metrics=parts.metrics,
            group=parts.group,
            establish_s=self._settings.establish_timeout_s,
            on_change=self._step,
        )
        self._confirm_timer: asyncio.TimerHandle | None = None
        self._configuring: list[asyncio.Task[None]] = []
        self._is_ending = False
        self.ended = asyncio.Event()
        """Set when the phase is final, results are collected and the record is written."""
        parts.metrics.watch(self.state, capacities=lambda: self.connections.capacities)

    # -- what can be read ------------------------------------------------------------------------

    @property
    def linger_s(self) -> float:
        """How long a completed session's artefacts stay available."""
        if self._assignment is None or self._phase is not AgentPhase.COMPLETED:
            return 0.0
        return float(self._assignment.spec.linger_seconds)

    def state(self) -> AgentState:
        """Where the session stands."""
        assignment = self._assignment
        return AgentState(
            pod_uid=self._settings.pod_uid,
            phase=self._phase,
            assignment_id=None if assignment is None else assignment.assignment_id,
            session=None if assignment is None else assignment.session,
            failure=self._failure,
            timeline=msgspec.structs.replace(
                self._timeline, connected_at=self.connections.first_at
            ),
            connections=self.connections.infos(),
            results=self._roster.results(final=self._phase.is_terminal),
        )

    def artefacts(self) -> list[StoredArtefact]:
        """Files that the workloads have finished."""
        return self._roster.artefacts()

    # -- start and assignment --------------------------------------------------------------------

    def start(self) -> None:
        """Start the children of the workloads that are to be loaded before any assignment."""
        names = self._settings.workloads
        for name in self._parts.registry if names is None else names:
            self._start_child(name)

    def authorize_control(self, token: str) -> None:
        """Check a CONTROL token; proves that somebody knows of this pod.

        Raises:
            Refusal: InvalidToken.
        """
        self._tokens.check_control(token)
        self._confirm()

    def assign(self, token: str) -> AgentState:
        """Take the session in the token, if this is the first one or the same one again.

        Raises:
            Refusal: InvalidToken, AlreadyAssigned, SpecRejected.
        """
        counter = self._parts.metrics.assignments
        try:
            result = self._assign(token)
        except Refusal as refusal:
            counter.labels(refusal.body.error).inc()
            raise
        counter.labels(result).inc()
        return self.state()

    def _assign(self, token: str) -> str:
        assignment = self._tokens.read_assignment(token)
        if self._assignment is not None:
            if self._assignment.assignment_id == assignment.assignment_id:
                return "Repeated"
            key = self._assignment.session.key
            raise Refusal(409, "AlreadyAssigned", f"this pod works for {key}; choose another pod")
        if self._is_ending:
            raise Refusal(409, "AlreadyAssigned", "this pod is ending; choose another pod")
        check_assignable(assignment, registry=self._parts.registry)
        self._take(assignment)
        return "Accepted"

    def _take(self, assignment: Assignment) -> None:
        self._assignment = assignment
        self._timeline = msgspec.structs.replace(self._timeline, assigned_at=datetime.now(UTC))
        self.connections.open(reconnect_s=assignment.spec.reconnect_seconds)
        self._confirm_timer = self._loop.call_later(
            self._settings.confirm_timeout_s, self._end_unconfirmed
        )
        self._set_phase(AgentPhase.STARTING)
        session = assignment.session
        logger.info("assigned", extra={"namespace": session.namespace, "session": session.name})
        for member in self._roster.all():
            if member.name not in assignment.spec.workloads:
                self._spawn(member.child.stop(), name=f"stop:{member.name}")
        for name in assignment.spec.workloads:
            member = self._roster.get(name) or self._start_child(name)
            task = self._parts.group.create_task(
                self._configure(member, assignment), name=f"configure:{name}"
            )
            self._configuring.append(task)
        self._step()

    async def _configure(self, member: Member, assignment: Assignment) -> None:
        folder = self._parts.folder / "artefacts" / member.name
        folder.mkdir(parents=True, exist_ok=True)
        call = ConfigureCall(
            session=assignment.session,
            spec=assignment.spec,
            media=self._parts.media,
            artefact_dir=str(folder),
        )
        try:
            async with asyncio.timeout(CONFIGURE_TIMEOUT_S):
                await member.loaded.wait()
            reply = await member.child.configure(call)
        except Refusal as refusal:
            self._fail_workload(member, refusal.body.error, refusal.body.message)
        except (ChildGoneError, TimeoutError) as error:
            if not await member.child.wait_exit(timeout_s=1.0):
                message = f"workload {member.name} did not take the session: {error}"
                self._fail_workload(member, "WorkloadHung", message)
                await member.child.stop()
            # else `_supervise` reports it with its signal or exit status
        else:
            self.connections.add_workload(member)
            member.is_finite = reply.is_finite
            self._step()

    def authorize_connection(self, token: str) -> ConnectionGrant:
        """Check a CONNECTION token of the router; proves that somebody knows of this pod.

        Raises:
            Refusal: InvalidToken, or NotReady while no session is assigned.
        """
        grant = self._tokens.read_grant(token)
        if self._assignment is None:
            raise Refusal(425, "NotReady", "this pod has no session yet; try again")
        if grant.session_uid != self._assignment.session.uid:
            raise Refusal(401, "InvalidToken", "the token is for another session than this pod's")
        self._confirm()
        return grant

    # -- reports of the children -----------------------------------------------------------------

    def _start_child(self, name: str) -> Member:
        member = self._roster.start(name)
        self._spawn(self._supervise(member), name=f"child:{name}")
        return member

    async def _supervise(self, member: Member) -> None:
        code = await member.child.follow(lambda event: self._on_event(member, event))
        if member.child.is_stopping:
            return
        how = describe_exit(code)
        hint = " (the kernel sends it when memory runs out)" if how == "SIGKILL" else ""
        message = f"workload {member.name} ended with {how}{hint}; the pod's log may say why"
        self._fail_workload(member, "WorkloadCrashed", message)
        if self._assignment is None:
            # A workload that cannot even be loaded would fail every session: give the pod up.
            self._end(lambda: End(member.failure))

    def _on_event(self, member: Member, event: Event) -> None:
        self._parts.metrics.workload_events.labels(member.name, event.kind.value).inc()
        logger.debug("workload %s: %s", member.name, event.kind.value)
        now = datetime.now(UTC)
        match event.kind:
            case EventKind.HELLO:
                member.roles = event.roles
                member.loaded.set()
            case EventKind.READY:
                member.is_ready = True
            case EventKind.ESTABLISHED:
                self.connections.note_established(event.connection_id)
            case EventKind.LOST:
                self.connections.note_lost(event.connection_id, reason=event.reason)
            case EventKind.FIRST_FRAME:
                if self._timeline.first_frame_at is None:
                    self._timeline = msgspec.structs.replace(self._timeline, first_frame_at=now)
            case EventKind.RESULTS:
                if event.results is not None:
                    member.store(event.results, now=now)
            case EventKind.DONE:
                logger.info("workload done", extra={"workload": member.name})
                member.is_done = True
            case EventKind.FAILED:
                self._fail_workload(member, event.reason, event.message)
        self._step()

    def _fail_workload(self, member: Member, reason: str, message: str) -> None:
        if member.failure is None:
            logger.error(message, extra={"workload": member.name, "reason": reason})
            member.failure = Failure(reason=reason, message=message)
            self.connections.remove_workload(member)
            self._step()

    # -- decisions and the end -------------------------------------------------------------------

    async def drain(self, failure: Failure) -> None:
        """End the session now and wait for its end; an ended session stays as it is.

        Completed where all finite work is done, else Failed with this reason.
        """
        self._end(lambda: self._decide_drain(failure))
        await self.ended.wait()

    def _decide_drain(self, failure: Failure) -> End:
        if self._assignment is None:
            return End()  # an idle pod that is told to stop has done nothing wrong
        return decide_drain(self._views(), failure=failure)

    def _views(self) -> list[WorkloadView]:
        if self._assignment is None:
            return []
        return [member.view() for member in self._roster.pick(self._assignment.spec.workloads)]

    def _step(self) -> None:
        """Decide where the session stands and act on it."""
        if self._assignment is None or self._is_ending:
            return
        self.connections.tick()
        verdict = decide(
            self._views(),
            slots_taken=self.connections.is_taken,
            was_connected=self.connections.was_connected,
        )
        if isinstance(verdict, End):
            end = verdict
            self._end(lambda: end)
            return
        self._set_phase(verdict)

    def _set_phase(self, phase: AgentPhase) -> None:
        if phase is self._phase:
            self._parts.record.write_soon(self.state)
            return
        self._phase = phase
        if self._timeline.ready_at is None and phase in (AgentPhase.READY, AgentPhase.CONNECTED):
            self._timeline = msgspec.structs.replace(self._timeline, ready_at=datetime.now(UTC))
        logger.info("phase", extra={"phase": phase.value})
        self._parts.record.write(self.state())

    def _end(self, verdict: Callable[[], End]) -> None:
        """Begin the end, once; `verdict` is asked after the workloads have drained."""
        if self._is_ending:
            return
        self._is_ending = True
        self.connections.close()
        self._confirm()
        self._set_phase(AgentPhase.DRAINING)
        for task in self._configuring:
            if task is not asyncio.current_task():
                task.cancel()
        self._spawn(self._finish(verdict), name="finish")

    async def _finish(self, verdict: Callable[[], End]) -> None:
        names = () if self._assignment is None else self._assignment.spec.workloads
        members = self._roster.pick(names)
        await asyncio.gather(*(self._collect(member) for member in members))
        end = verdict()
        for member in self._roster.all():
            self.connections.remove_workload(member)
        self._failure = end.failure
        self._timeline = msgspec.structs.replace(self._timeline, completed_at=datetime.now(UTC))
        self._set_phase(end.phase)
        if end.failure is not None:
            logger.error(end.failure.message, extra={"reason": end.failure.reason})
        self.ended.set()
        await self.stop_children()

    def record_fault(self) -> None:
        """Leave a record of the agent's own failure; nothing else can be relied on then."""
        if not self._phase.is_terminal:
            message = "the agent itself failed; its log has the traceback"
            self._failure = Failure(reason="AgentFailed", message=message)
            self._set_phase(AgentPhase.FAILED)

    async def stop_children(self) -> None:
        """End every child process that still runs."""
        await asyncio.gather(*(member.child.stop() for member in self._roster.all()))

    async def _collect(self, member: Member) -> None:
        """Bring a workload's results to their last value; without it, the newest ones stay."""
        if member.failure is not None or member.is_finite is None:
            return
        try:
            member.store(await member.child.drain(), now=datetime.now(UTC))
        except (Refusal, ChildGoneError) as error:
            logger.error("final results of %s are missing: %s", member.name, error)

    # -- timers -------------------------------------------------------------------

    def _confirm(self) -> None:
        if self._confirm_timer is not None:
            self._confirm_timer.cancel()

    def _end_unconfirmed(self) -> None:
        message = (
            f"nobody asked for this pod within {self._settings.confirm_timeout_s:g} s of its "
            "assignment; the session may have been deleted"
        )
        self._end(lambda: End(Failure(reason="Unconfirmed", message=message)))

    def _spawn(self, work: Coroutine[None, None, None], *, name: str) -> None:
        self._parts.group.create_task(work, name=name)
