"""Runs the workloads' children: starts, hears, configures and drains them.

Keeps what each child has said in its `Member`; what it means for the session is the agent's to
decide, who is told of every change by `on_change`.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from podstream_core.agentapi import Assignment, Failure, MediaPath
from podstream_core.api import LiveSpec
from podstream_workloads.agent.children import CONFIGURE_TIMEOUT_S, ChildGoneError
from podstream_workloads.agent.connections import Connections
from podstream_workloads.agent.errors import Refusal
from podstream_workloads.agent.metrics import AgentMetrics
from podstream_workloads.agent.processes import describe_exit
from podstream_workloads.agent.roster import Member, Roster
from podstream_workloads.agent.wire import ConfigureCall, Event, EventKind
from podstream_workloads.agent.workload import MediaAddress

logger = logging.getLogger(__name__)


class Supervisor:
    """Owner of every child of the pod."""

    def __init__(
        self,
        *,
        roster: Roster,
        connections: Connections,
        metrics: AgentMetrics,
        group: asyncio.TaskGroup,
        on_change: Callable[[], None],
    ) -> None:
        self._roster = roster
        self._connections = connections
        self._metrics = metrics
        self._group = group
        self._on_change = on_change
        self._configuring: list[asyncio.Task[None]] = []
        self.first_frame_at: datetime | None = None
        """When the first frame has left for a client."""

    @property
    def is_loaded(self) -> bool:
        """Whether no child that was started still imports its workload."""
        return all(
            member.loaded.is_set() or member.child.is_stopping for member in self._roster.all()
        )

    @property
    def first_failure(self) -> Failure | None:
        """The failure of the workload that was started first among those that have failed."""
        return next((item.failure for item in self._roster.all() if item.failure), None)

    def start(self, name: str) -> Member:
        """Start a workload's child; it loads its workload at once.

        Raises:
            OSError: no process can be started.
        """
        member = self._roster.start(name)
        self._group.create_task(self._follow(member), name=f"child:{name}")
        return member

    def configure(
        self, assignment: Assignment, *, media: MediaAddress, folder: Path, volumes_dir: Path
    ) -> None:
        """Give the workloads of an assignment their session, and end all others.

        Args:
            assignment: what the pod works for.
            media: where the pod receives media.
            folder: artefacts go below it, and what workloads share lies in it.
            volumes_dir: where the session's volumes lie.

        Raises:
            OSError: no process can be started.
        """
        wanted = assignment.spec.workloads
        for member in self._roster.all():
            if member.name not in wanted:
                self._group.create_task(member.child.stop(), name=f"stop:{member.name}")
        for name in wanted:
            member = self._roster.get(name) or self.start(name)
            artefacts = folder / "artefacts" / name
            artefacts.mkdir(parents=True, exist_ok=True)
            call = ConfigureCall(
                session=assignment.session,
                spec=assignment.spec,
                media=media,
                artefact_dir=str(artefacts),
                volumes_dir=str(volumes_dir),
                shared_dir=str(folder),
            )
            task = self._group.create_task(self._configure(member, call), name=f"configure:{name}")
            self._configuring.append(task)

    def cancel_configuring(self) -> None:
        """The session is ending: wait for no workload any more."""
        for task in self._configuring:
            if task is not asyncio.current_task():
                task.cancel()

    def are_configured(self, names: Sequence[str]) -> bool:
        """Whether every one of these workloads that has not failed has taken the session."""
        members = self._roster.pick(names)
        return all(member.is_finite is not None or member.failure for member in members)

    async def update(self, names: Sequence[str], live: LiveSpec) -> None:
        """Tell workloads of changed live members; their figures are as new afterwards.

        Raises:
            Refusal: a workload refuses.
            ChildGoneError: a workload does not answer.
        """
        for member in self._roster.pick(names):
            if member.failure is None:
                results = await member.child.update(live)
                member.store(results, now=datetime.now(UTC))

    async def move_media(self, path: MediaPath) -> bool:
        """Have the connection that listens on a port send elsewhere; false where there is none."""
        members = [member for member in self._roster.all() if member.is_serving]
        moved = await asyncio.gather(*(self._move_media(member, path) for member in members))
        return any(moved)

    async def _move_media(self, member: Member, path: MediaPath) -> bool:
        try:
            return await member.child.move_media(path)
        except (Refusal, ChildGoneError) as error:
            logger.warning("media not moved: %s", error, extra={"workload": member.name})
            return False

    async def collect(self, names: Sequence[str]) -> None:
        """Drain and flush workloads, so that their results have their last value."""
        await asyncio.gather(*(self._collect(member) for member in self._roster.pick(names)))

    async def stop(self) -> None:
        """End every child process that still runs."""
        await asyncio.gather(*(member.child.stop() for member in self._roster.all()))

    async def _configure(self, member: Member, call: ConfigureCall) -> None:
        try:
            async with asyncio.timeout(CONFIGURE_TIMEOUT_S):
                await member.loaded.wait()
            reply = await member.child.configure(call)
        except Refusal as refusal:
            self._fail(member, refusal.body.error, refusal.body.message)
        except (ChildGoneError, TimeoutError) as error:
            if not await member.child.wait_exit(timeout_s=1.0):
                message = f"workload {member.name} did not take the session: {error}"
                self._fail(member, "WorkloadHung", message)
                await member.child.stop()
            # else `_follow` reports it with its signal or exit status
        else:
            member.roles, member.observers = reply.roles, tuple(reply.observers)
            self._connections.add_workload(member)
            member.flush_seconds = reply.flush_seconds
            member.is_finite = reply.is_finite
            self._on_change()

    async def _follow(self, member: Member) -> None:
        code = await member.child.follow(lambda event: self._on_event(member, event))
        if member.child.is_stopping:
            return
        how = describe_exit(code)
        hint = " (the kernel sends it when memory runs out)" if how == "SIGKILL" else ""
        message = f"workload {member.name} ended with {how}{hint}; the pod's log may say why"
        self._fail(member, "WorkloadCrashed", message)

    def _on_event(self, member: Member, event: Event) -> None:
        self._metrics.workload_events.labels(member.name, event.kind.value).inc()
        logger.debug("workload %s: %s", member.name, event.kind.value)
        now = datetime.now(UTC)
        match event.kind:
            case EventKind.HELLO:
                member.roles = event.roles
                member.loaded.set()
            case EventKind.READY:
                member.is_ready = True
            case EventKind.ESTABLISHED:
                self._connections.note_established(event.connection_id)
            case EventKind.LOST:
                self._connections.note_lost(event.connection_id, reason=event.reason)
            case EventKind.FIRST_FRAME:
                self.first_frame_at = self.first_frame_at or now
            case EventKind.RESULTS:
                if event.results is not None:
                    member.store(event.results, now=now)
            case EventKind.DONE:
                logger.info("workload done", extra={"workload": member.name})
                member.is_done = True
            case EventKind.FAILED:
                self._fail(member, event.reason, event.message)
        self._on_change()

    def _fail(self, member: Member, reason: str, message: str) -> None:
        if member.failure is None:
            logger.error(message, extra={"workload": member.name, "reason": reason})
            member.failure = Failure(reason=reason, message=message)
            self._connections.remove_workload(member)
            self._on_change()

    async def _collect(self, member: Member) -> None:
        """Bring a workload's results to their last value; without it, the newest ones stay.

        One that has failed and lives has work to bring away as any other.
        """
        if member.is_finite is None or not member.child.is_running:
            return
        try:
            member.store(await member.child.drain(), now=datetime.now(UTC))
            if member.flush_seconds:
                final = await member.child.flush(seconds=member.flush_seconds)
                member.store(final, now=datetime.now(UTC))
        except (Refusal, ChildGoneError) as error:
            logger.error("final results of %s are missing: %s", member.name, error)
