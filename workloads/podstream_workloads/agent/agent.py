"""The agent: one assignment, its workloads, its connections, its end.

Owns the session of the pod. All state changes happen on the event loop between two awaits, so the
first assignment wins by construction. Whatever happens ends in `_step`, which asks the pure
decisions of `gate` and `lifecycle` and acts on them::

    Idle -> Starting -> Ready <-> Connected -> Draining -> Completed | Failed

Knows no HTTP: the ports translate calls to methods and `Refusal`s to answers.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from podstream_core.agentapi import (
    AgentPhase,
    AgentState,
    Assignment,
    ConnectionGrant,
    Failure,
    MediaPath,
)
from podstream_core.api import Timeline
from podstream_core.logs import set_process_log_fields
from podstream_core.tokens import pod_audience
from podstream_workloads.agent.confirmation import Confirmation
from podstream_workloads.agent.connections import Connections
from podstream_workloads.agent.errors import Refusal
from podstream_workloads.agent.lifecycle import End, WorkloadView, decide, decide_drain
from podstream_workloads.agent.live import LiveMembers
from podstream_workloads.agent.metrics import AgentMetrics
from podstream_workloads.agent.record import TerminationLog
from podstream_workloads.agent.roster import Roster, StoredArtefact
from podstream_workloads.agent.settings import AgentSettings
from podstream_workloads.agent.supervision import Supervisor
from podstream_workloads.agent.tokens import TokenReader, check_assignable
from podstream_workloads.agent.workload import MediaAddress

logger = logging.getLogger(__name__)

RETIRED_LINGER_S: Final = 1.0
"""A router's view of the pods is at most about this old."""


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
        self._phase = AgentPhase.IDLE
        self._has_started = asyncio.Event()
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
        self._supervisor = Supervisor(
            roster=parts.roster,
            connections=self.connections,
            metrics=parts.metrics,
            group=parts.group,
            on_change=self._step,
        )
        self.live = LiveMembers(self._supervisor)
        self._confirmation = Confirmation(
            timeout_s=self._settings.confirm_timeout_s,
            is_taken=lambda: self.connections.is_taken,
            on_missing=self._end_unconfirmed,
        )
        self._is_ending = False
        self.ended = asyncio.Event()
        """Set when the phase is final, results are collected and the record is written."""
        parts.metrics.watch(self.state, capacities=lambda: self.connections.capacities)

    # -- what can be read ------------------------------------------------------------------------

    @property
    def linger_s(self) -> float:
        """How long the ports stay open after the end.

        A completed session's artefacts stay available; a retired pod still refuses the routers
        that took it for idle a moment ago, which would else see their request break off.
        """
        if self._phase is not AgentPhase.COMPLETED:
            return 0.0
        if self._assignment is None:
            return RETIRED_LINGER_S
        return float(self._assignment.spec.linger_seconds)

    @property
    def is_warm(self) -> bool:
        """Whether an assignment would find its workload loaded."""
        return self._supervisor.is_loaded

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
                self._timeline,
                connected_at=self.connections.first_at,
                first_frame_at=self._supervisor.first_frame_at,
            ),
            connections=self.connections.infos(),
            results=self._roster.results(final=self._phase.is_terminal),
            live=self.live.current,
        )

    def artefacts(self) -> list[StoredArtefact]:
        """Files of the workloads, also those that change still."""
        return self._roster.artefacts()

    # -- start, assignment, retirement -----------------------------------------------------------

    def start(self) -> None:
        """Start the children of the workloads that are to be loaded before any assignment."""
        names = self._settings.workloads
        for name in self._parts.registry if names is None else names:
            self._supervisor.start(name)

    def authorize_control(self, token: str, *, confirms: bool = True) -> None:
        """Check a CONTROL token.

        Args:
            token: the caller's.
            confirms: whether the call proves that somebody knows of this pod's session.

        Raises:
            Refusal: InvalidToken.
        """
        self._tokens.check_control(token)
        if confirms:
            self._confirmation.confirm()

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

    async def wait_started(self, *, timeout_s: float) -> AgentState:
        """The state once an assigned session no longer starts, or when the time is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._has_started.wait()
        return self.state()

    def _assign(self, token: str) -> str:
        assignment = self._tokens.read_assignment(token)
        if self._assignment is not None:
            if self._assignment.assignment_id == assignment.assignment_id:
                return "Repeated"
            raise self._already_assigned(self._assignment)
        if self._is_ending:
            raise Refusal(409, "AlreadyAssigned", "this pod is ending; choose another pod")
        check_assignable(assignment, registry=self._parts.registry)
        self._take(assignment)
        return "Accepted"

    @staticmethod
    def _already_assigned(assignment: Assignment) -> Refusal:
        message = f"this pod works for {assignment.session.key}; choose another pod"
        return Refusal(409, "AlreadyAssigned", message)

    def _take(self, assignment: Assignment) -> None:
        self._assignment = assignment
        self.live.begin(assignment)
        session = assignment.session
        set_process_log_fields(namespace=session.namespace, session=session.name)
        self._timeline = msgspec.structs.replace(self._timeline, assigned_at=datetime.now(UTC))
        self.connections.open(reconnect_s=assignment.spec.reconnect_seconds)
        self._confirmation.start()
        self._set_phase(AgentPhase.STARTING)
        logger.info("assigned")
        self._supervisor.configure(
            assignment,
            media=self._parts.media,
            folder=self._parts.folder,
            volumes_dir=self._settings.volumes_dir,
        )
        self._step()

    def retire(self) -> AgentState:
        """End an idle pod; from here on no assignment is taken. Again is harmless.

        Raises:
            Refusal: AlreadyAssigned.
        """
        if self._assignment is not None:
            raise self._already_assigned(self._assignment)
        if not self._is_ending:
            logger.info("retired")
        self._end(End)
        return self.state()

    def authorize_connection(self, token: str) -> ConnectionGrant:
        """Check a CONNECTION token of the router.

        Raises:
            Refusal: InvalidToken, or NotReady while no session is assigned.
        """
        grant = self._tokens.read_grant(token)
        if self._assignment is None:
            raise Refusal(425, "NotReady", "this pod has no session yet; try again")
        if grant.session_uid != self._assignment.session.uid:
            raise Refusal(401, "InvalidToken", "the token is for another session than this pod's")
        return grant

    async def move_media(self, path: MediaPath) -> None:
        """Have the connection that listens on a port of this pod send to another address.

        Raises:
            Refusal: NoSuchConnection.
        """
        if not await self._supervisor.move_media(path):
            message = f"no connection with media listens on UDP port {path.port}"
            raise Refusal(404, "NoSuchConnection", message)

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
        if self._is_ending:
            return
        if self._assignment is None:
            failure = self._supervisor.first_failure
            if failure is not None:
                # A workload that cannot even be loaded would fail every session: give the pod up.
                self._end(lambda: End(failure))
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
        if phase is not AgentPhase.STARTING:
            self._has_started.set()

    def _end(self, verdict: Callable[[], End]) -> None:
        """Begin the end, once; `verdict` is asked after the workloads have drained."""
        if self._is_ending:
            return
        self._is_ending = True
        self.connections.close()
        self._confirmation.confirm()
        self._set_phase(AgentPhase.DRAINING)
        self._supervisor.cancel_configuring()
        self._parts.group.create_task(self._finish(verdict), name="finish")

    async def _finish(self, verdict: Callable[[], End]) -> None:
        await self._supervisor.collect(
            () if self._assignment is None else self._assignment.spec.workloads
        )
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
        await self._supervisor.stop()

    def _end_unconfirmed(self) -> None:
        message = (
            f"nobody asked for this pod within {self._settings.confirm_timeout_s:g} s of its "
            "assignment; the session may have been deleted"
        )
        self._end(lambda: End(Failure(reason="Unconfirmed", message=message)))
