"""The next step in a session's life.

The order of questions matters and is the order below: has it ended, has its pod ended, is there a
pod at all, what does its agent say, has a clock run out, and only then what to write down.
"""

import dataclasses
from datetime import datetime, timedelta
from typing import Final

from podstream_core.agentapi import AgentPhase, AgentState
from podstream_core.api import (
    ConditionType,
    RestartPolicy,
    SessionStatus,
    StreamSession,
)
from podstream_operator.decide.client import client_actions, client_trouble
from podstream_operator.decide.dialling import dial_delay_s
from podstream_operator.decide.live import is_followed, spec_update
from podstream_operator.decide.loss import DELETION_MARGIN, PodEnd, pod_end
from podstream_operator.decide.peers import peer_problem
from podstream_operator.decide.placement import current_pod, restarts_of, surplus_pods
from podstream_operator.decide.placing import REJECTION_RETRY_S, Placing, place
from podstream_operator.decide.plan import Action, ContactAgent, DeletePod, DrainAgent, Plan
from podstream_operator.decide.retention import decide_retention
from podstream_operator.decide.secret import secret_actions
from podstream_operator.decide.startup import (
    PATIENCE,
    PROBLEM_REASONS,
    describe_pending,
    startup_problem,
)
from podstream_operator.decide.timeouts import Expiry, next_expiry
from podstream_operator.facts import AgentRefusal, Observed, PodMemory, Site, expected_assignment
from podstream_operator.resources import finish_seconds
from podstream_operator.status import (
    Progress,
    completed_status,
    ending_of,
    failed_status,
    is_true,
    live_status,
    replacing_status,
)

MAX_REPLACEMENTS: Final = 1
DRAIN_GRACE: Final = timedelta(seconds=5)
"""How long a session that ran into a limit may take to make its results final."""
DRAIN_POLL_S: Final = 0.1
CONNECTED_SETTLES: Final = timedelta(seconds=1)
"""The Connected condition of a session that had a client changes no more often than this."""


def decide(session: StreamSession, *, observed: Observed, site: Site, now: datetime) -> Plan:
    """Decide what to do next for a session."""
    if session.metadata.deletion_timestamp is not None:
        return Plan()  # the garbage collector removes what it owns
    previous = observed.memory.status or session.status
    ending = ending_of(previous)
    if ending is not None:
        return decide_retention(
            session, previous=previous, ending=ending, observed=observed, now=now
        )
    return _Step(session, observed=observed, previous=previous, site=site, now=now).decide()


class _Step:
    """One decision about a session that has not ended; holds what every question needs."""

    def __init__(
        self,
        session: StreamSession,
        *,
        observed: Observed,
        previous: SessionStatus,
        site: Site,
        now: datetime,
    ) -> None:
        self.session = session
        self.observed = observed
        self.memory = observed.memory
        self.previous = previous
        self.site = site
        self.now = now
        self.restarts = restarts_of(previous)
        self.pod = current_pod(session, pods=observed.pods, restarts=self.restarts)
        asked = self.pod is not None and observed.agent_pod_uid == self.pod.uid
        self.agent = observed.agent if asked else None
        known = self.pod is not None and self.memory.pod.uid == self.pod.uid
        if self.pod is not None and not known:
            # What is remembered of a lost pod says nothing about its replacement.
            self.memory = dataclasses.replace(self.memory, pod=PodMemory())
        self.assigned = known and self.memory.pod.assigned
        self.last_state = self.memory.pod.last_state if known else None
        self.placing = Placing()

    def decide(self) -> Plan:
        last = self.last_state
        if self.pod is None and self.previous.pod and self.memory.pod.uid == self.previous.pod.uid:
            last = self.memory.pod.last_state
        end = pod_end(self.pod, previous=self.previous, last=last, now=self.now)
        if end is not None:
            return self._after_pod(end)

        if self.pod is None:
            self.placing = place(
                self.session, observed=self.observed, restarts=self.restarts, now=self.now
            )
            failure = self.placing.failure
            if failure is not None:
                return self._fail(failure.reason, failure.message, state=None)
        actions: list[Action] = [
            *secret_actions(
                self.session,
                previous=self.previous,
                memory=self.memory,
                has_pod=self.pod is not None,
                now=self.now,
            )
        ]
        actions += self.placing.actions
        if self.pod is not None:
            others = surplus_pods(
                self.session, pods=self.observed.pods, current=self.pod, restarts=self.restarts
            )
            actions += map(DeletePod, others)
        if self.pod is not None and self.pod.ip and self.agent is None:
            # What a router has assigned is only asked: another assignment would be refused.
            own = expected_assignment(self.session, self.pod) == self.session.metadata.uid
            actions.append(ContactAgent(self.pod, assign=own and not self.assigned))
        elif self.pod is not None and self.pod.deletion_at is None:
            update = spec_update(self.session, pod=self.pod, state=self._current_state())
            actions += [update] if update is not None else []
        if actions:
            return Plan(actions=tuple(actions))
        return self._judge()

    def _after_pod(self, end: PodEnd) -> Plan:
        """The pod has ended: so has the session, unless it gets a replacement."""
        if not end.lost and end.state is not None and end.state.phase is AgentPhase.COMPLETED:
            return self._complete(end.state)
        replaceable = (
            end.lost
            and self.session.spec.restart_policy is RestartPolicy.ON_POD_LOSS
            and self.restarts < MAX_REPLACEMENTS
        )
        if replaceable and not self._deadline_has_passed():
            return Plan(
                status=replacing_status(
                    self.session,
                    previous=self.previous,
                    reason=end.reason,
                    message=f"{end.message}; it is being replaced",
                    memory=self.memory,
                    now=self.now,
                )
            )
        return self._fail(end.reason, end.message, state=end.state)

    def _deadline_has_passed(self) -> bool:
        expiry = self._next_expiry(ready_since=self.now, connected=True)
        return self.now >= expiry.at

    def _judge(self) -> Plan:
        """Everything was asked and nothing is to be done: what does it come to?"""
        state = self._current_state()
        agent = self.agent
        if state is not None and state.phase is AgentPhase.COMPLETED:
            return self._complete(state)
        if state is not None and state.phase is AgentPhase.FAILED:
            if self.pod is not None and self.pod.deletion_at is not None:
                return self._wait_for_deletion()
            failure = state.failure
            return self._fail(
                failure.reason if failure else "AgentFailed",
                failure.message if failure else "the agent gave no reason",
                state=state,
            )
        if isinstance(agent, AgentRefusal) and agent.error in ("SpecRejected", "AlreadyAssigned"):
            # Neither gets better by asking again.
            return self._fail(agent.error, agent.message, state=None)

        ready, connected = self._standing(state)
        ready_since = self._ready_since(state) if ready else None
        expiry = self._next_expiry(ready_since=ready_since, connected=connected)
        if self.now >= expiry.at:
            return self._expire(expiry, state=state)
        if self.pod is not None and self.pod.deletion_at is not None:
            return self._wait_for_deletion()
        if state is not None and state.phase is AgentPhase.DRAINING:
            return Plan(status=self.memory.status, requeue_after_s=DRAIN_POLL_S)
        return self._progress(state, ready=ready, connected=connected, expiry=expiry)

    def _current_state(self) -> AgentState | None:
        """The agent's answer in this reconcile, where it is about this session."""
        agent = self.agent
        if not isinstance(agent, AgentState) or self.pod is None:
            return None
        expected = expected_assignment(self.session, self.pod)
        return agent if agent.assignment_id == expected else None

    def _standing(self, state: AgentState | None) -> tuple[bool, bool]:
        """Ready and connected. An agent that does not answer stands where it last stood."""
        if state is None:
            if self.pod is None or self.previous.pod is None:
                return False, False
            same = self.previous.pod.uid == self.pod.uid
            return (
                same and is_true(self.previous, ConditionType.READY),
                same and is_true(self.previous, ConditionType.CONNECTED),
            )
        was_ready = is_true(self.previous, ConditionType.READY)
        if state.phase is AgentPhase.DRAINING:
            return was_ready, is_true(self.previous, ConditionType.CONNECTED)
        if self.memory.secret_rejection is not None and not was_ready:
            return False, False  # nobody could connect without the token
        connected = state.phase is AgentPhase.CONNECTED
        return connected or state.phase is AgentPhase.READY, connected

    def _ready_since(self, state: AgentState | None) -> datetime:
        known = state.timeline.ready_at if state else None
        return known or self.previous.timeline.ready_at or self.now

    def _next_expiry(self, *, ready_since: datetime | None, connected: bool) -> Expiry:
        return next_expiry(
            self.session,
            previous=self.previous,
            memory=self.memory,
            ready_since=ready_since,
            connected=connected,
            pod=self.pod,
        )

    def _expire(self, expiry: Expiry, *, state: AgentState | None) -> Plan:
        """A clock has run out: drain, so that results become final, then fail."""
        if self.pod is not None:
            started = self.memory.pod.drain_started_at
            if started is None and state is not None:
                return Plan(actions=(DrainAgent(self.pod, expiry.reason, expiry.message),))
            # A drained agent exits: its last words may come by the pod's end instead.
            if started is not None and self.now - started < self._drain_grace():
                return Plan(status=self.memory.status, requeue_after_s=DRAIN_POLL_S)
        message = expiry.message
        if expiry.reason == "StartupTimeout":
            problem = self._problem()
            cause = ": ".join(problem) if problem else describe_pending(self.pod)
            message = f"{message}: {cause}"
        return self._fail(expiry.reason, message, state=state or self.last_state)

    def _drain_grace(self) -> timedelta:
        return DRAIN_GRACE + timedelta(seconds=finish_seconds(self.session.spec))

    def _wait_for_deletion(self) -> Plan:
        """Somebody deletes the pod: its last words come with its end."""
        assert self.pod is not None
        assert self.pod.deletion_at is not None
        left = (self.pod.deletion_at + DELETION_MARGIN - self.now).total_seconds()
        return Plan(status=self.memory.status, requeue_after_s=max(left, 0.0) + DRAIN_POLL_S)

    def _progress(
        self, state: AgentState | None, *, ready: bool, connected: bool, expiry: Expiry
    ) -> Plan:
        """The session goes on: write down where it stands."""
        requeue = (expiry.at - self.now).total_seconds()
        if not ready:
            return self._starting(state, requeue_s=requeue)
        unsettled_s = self._unsettled_s(connected=connected)
        if unsettled_s > 0:
            return Plan(status=self.memory.status, requeue_after_s=min(requeue, unsettled_s))
        trouble = client_trouble(self.session, observed=self.observed, restarts=self.restarts)
        reason, message = trouble or ("WaitingForClient", "")
        if not trouble and self.previous.timeline.connected_at is not None:
            reason = "ClientLeft"
        status = self._live(state, ready=True, connected=connected, reason=reason, message=message)
        clients = client_actions(
            self.session, previous=self.previous, observed=self.observed, restarts=self.restarts
        )
        if clients and self._may_create_client():
            return Plan(actions=clients)
        return Plan(status=status, requeue_after_s=requeue)

    def _unsettled_s(self, *, connected: bool) -> float:
        """How long a client's coming or leaving still waits to be written; 0 for the first one.

        A client that comes and goes many times a second must not make as many API writes.
        """
        before = self.previous.condition(ConditionType.CONNECTED)
        if before is None or before.last_transition_time is None:
            return 0.0
        if (before.status == "True") is connected or self.previous.timeline.connected_at is None:
            return 0.0
        age = self.now - before.last_transition_time
        # A time that lies ahead is that of a clock that has been set back since.
        is_recent = timedelta(0) <= age < CONNECTED_SETTLES
        return (CONNECTED_SETTLES - age).total_seconds() if is_recent else 0.0

    def _may_create_client(self) -> bool:
        rejection = self.memory.client_rejection
        return rejection is None or (self.now - rejection.at).total_seconds() >= REJECTION_RETRY_S

    def _starting(self, state: AgentState | None, *, requeue_s: float) -> Plan:
        """Not ready yet. Nothing is written for that, unless something is wrong."""
        problem = self._problem()
        status = self.memory.status
        before = self.previous.condition(ConditionType.READY)
        if problem is not None:
            reason, message = problem
            status = self._live(state, ready=False, connected=False, reason=reason, message=message)
        elif before is not None and before.reason in PROBLEM_REASONS:
            status = self._live(state, ready=False, connected=False, reason="Starting", message="")
        return Plan(status=status, requeue_after_s=min(requeue_s, self._startup_poll_s()))

    def _problem(self) -> tuple[str, str] | None:
        problem = self.placing.problem or startup_problem(
            self.pod, agent=self.agent, memory=self.memory, now=self.now
        )
        if problem is None and self._waits_long():
            problem = peer_problem(self.session, peer=self.observed.peer)
        if problem is None:
            return None
        before = self.previous.condition(ConditionType.READY)
        if before is not None and before.reason == problem.reason and before.message:
            # The kubelet words the same cause in turns; the first wording stays.
            return problem.reason, before.message
        return problem.reason, problem.message

    def _waits_long(self) -> bool:
        """Whether the pod has had time to get what others bring along: they may come together."""
        created_at = None if self.pod is None else self.pod.created_at
        return created_at is not None and self.now - created_at >= PATIENCE

    def _startup_poll_s(self) -> float:
        """When a starting session is worth another look without an event."""
        pod = self.pod
        if pod is None:
            return self.placing.wait_s
        if pod.ip is not None:
            return dial_delay_s(self.memory.pod.dials)
        age = self.now - pod.created_at if pod.created_at else timedelta(0)
        left = (PATIENCE - age).total_seconds()
        return left + DRAIN_POLL_S if left > 0 else REJECTION_RETRY_S

    def _live(
        self,
        state: AgentState | None,
        *,
        ready: bool,
        connected: bool,
        reason: str,
        message: str,
    ) -> SessionStatus:
        return live_status(
            self.session,
            previous=self.previous,
            progress=Progress(
                pod=self.pod,
                restarts=self.restarts,
                ready=ready,
                connected=connected,
                reason=reason,
                message=message,
                state=state,
                followed=is_followed(self.session, state=state or self.last_state),
            ),
            memory=self.memory,
            site=self.site,
            now=self.now,
        )

    def _complete(self, state: AgentState) -> Plan:
        return Plan(
            status=completed_status(
                self.session,
                previous=self.previous,
                pod=self.pod,
                state=state,
                memory=self.memory,
                site=self.site,
                now=self.now,
            )
        )

    def _fail(self, reason: str, message: str, *, state: AgentState | None) -> Plan:
        return Plan(
            status=failed_status(
                self.session,
                previous=self.previous,
                pod=self.pod,
                state=state,
                reason=reason,
                message=message,
                memory=self.memory,
                site=self.site,
                now=self.now,
            )
        )
