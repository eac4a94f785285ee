"""Which live members of the spec the workloads follow, and how they learn of a change.

Changes are numbered by the session's generation: what arrives late, by an operator that is being
replaced, say, must not undo a newer one.
"""

import asyncio
import logging

from podstream_core.agentapi import Assignment, SpecUpdate
from podstream_core.api import LiveSpec
from podstream_workloads.agent.children import ChildGoneError
from podstream_workloads.agent.errors import Refusal
from podstream_workloads.agent.supervision import Supervisor

logger = logging.getLogger(__name__)


class LiveMembers:
    """The live members of one session."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._assignment: Assignment | None = None
        self._generation = 0
        self._lock = asyncio.Lock()
        self.current: LiveSpec | None = None
        """What the workloads follow."""

    def begin(self, assignment: Assignment) -> None:
        """Workloads start with what the assignment says."""
        self._assignment = assignment
        self.current = LiveSpec.of(assignment.spec)

    async def update(self, change: SpecUpdate) -> None:
        """Bring a change to the workloads; returns once they follow it. Again is harmless.

        Raises:
            Refusal: AlreadyAssigned where it is for another session; NotReady while the workloads
                start; WorkloadGone, or what a workload refuses it with.
        """
        async with self._lock:
            assignment = self._assignment
            if assignment is None or assignment.assignment_id != change.assignment_id:
                raise Refusal(409, "AlreadyAssigned", "this pod does not work for that session")
            if change.generation < self._generation:
                return
            if change.live == self.current:
                self._generation = change.generation
                return
            names = assignment.spec.workloads
            if not self._supervisor.are_configured(names):
                raise Refusal(425, "NotReady", "the workloads are starting; try again")
            try:
                await self._supervisor.update(names, change.live)
            except ChildGoneError as error:
                raise Refusal(502, "WorkloadGone", str(error)) from error
            self._generation = change.generation
            self.current = change.live
            logger.info("spec changed", extra={"generation": change.generation})
