import pytest

from podstream_core.agentapi import ENDED_BY_USER, AgentPhase, Failure
from podstream_workloads.agent.lifecycle import End, WorkloadView, decide, decide_drain

CRASH = Failure(reason="WorkloadCrashed", message="SIGKILL")
DRAINED = Failure(reason="Drained", message="stop")


def view(
    *, finite: bool | None = False, ready: bool = True, done: bool = False, crashed: bool = False
) -> WorkloadView:
    return WorkloadView(
        name="circle",
        is_finite=finite,
        is_ready=ready,
        is_done=done,
        failure=CRASH if crashed else None,
    )


@pytest.mark.parametrize(
    ("workloads", "taken", "was_connected", "verdict"),
    [
        pytest.param([view(finite=None)], False, False, AgentPhase.STARTING, id="not-configured"),
        pytest.param([view(ready=False)], False, False, AgentPhase.STARTING, id="not-ready"),
        pytest.param(
            [view(), view(ready=False)], False, False, AgentPhase.STARTING, id="one-not-ready"
        ),
        pytest.param([view()], False, False, AgentPhase.READY, id="ready"),
        pytest.param([view()], True, True, AgentPhase.CONNECTED, id="connected"),
        pytest.param([view()], False, True, End(), id="last-slot-expired"),
        pytest.param([view(finite=True)], False, True, AgentPhase.READY, id="finite-waits"),
        pytest.param([view(finite=True, done=True)], True, True, End(), id="finite-done"),
        pytest.param(
            [view(finite=True, done=True), view()], True, True, End(), id="all-finite-done"
        ),
        pytest.param(
            [view(finite=True, done=True), view(finite=True)],
            True,
            True,
            AgentPhase.CONNECTED,
            id="one-finite-left",
        ),
        pytest.param([view(crashed=True)], False, False, End(CRASH), id="only-one-crashed"),
        pytest.param(
            [view(crashed=True), view(finite=True)],
            True,
            True,
            AgentPhase.CONNECTED,
            id="others-go-on-after-a-crash",
        ),
        pytest.param(
            [view(crashed=True), view(finite=True, done=True)],
            False,
            True,
            End(CRASH),
            id="crash-is-the-result-when-the-others-are-done",
        ),
    ],
)
def test_decide(
    workloads: list[WorkloadView], taken: bool, was_connected: bool, verdict: AgentPhase | End
) -> None:
    assert decide(workloads, slots_taken=taken, was_connected=was_connected) == verdict


def test_death_after_the_work_is_done_is_no_failure() -> None:
    workloads = [view(finite=True, done=True, crashed=True)]
    assert decide(workloads, slots_taken=False, was_connected=True) == End()


@pytest.mark.parametrize(
    ("workloads", "end"),
    [
        pytest.param([view()], End(DRAINED), id="not-finite"),
        pytest.param([view(finite=True)], End(DRAINED), id="finite-not-done"),
        pytest.param([view(finite=True, done=True)], End(), id="finite-done"),
        pytest.param([view(finite=None)], End(DRAINED), id="not-configured"),
        pytest.param([view(crashed=True)], End(CRASH), id="crash-wins"),
    ],
)
def test_decide_drain(workloads: list[WorkloadView], end: End) -> None:
    assert decide_drain(workloads, failure=DRAINED) == end
    assert end.phase is (AgentPhase.FAILED if end.failure else AgentPhase.COMPLETED)


def test_a_user_ends_what_has_no_end_of_its_own() -> None:
    order = Failure(reason=ENDED_BY_USER, message="enough")
    endless = WorkloadView(name="stream", is_finite=False, is_ready=True)
    unfinished = WorkloadView(name="circle", is_finite=True, is_ready=True)
    assert decide_drain([endless], failure=order) == End()
    assert decide_drain([endless, unfinished], failure=order) == End(order)
    unknown = WorkloadView(name="stream", is_finite=None)
    assert decide_drain([unknown], failure=order) == End(order), "it has not even begun"
