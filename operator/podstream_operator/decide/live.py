"""Does the session's pod follow the members of the spec that may change while it lives?"""

from podstream_core.agentapi import AgentPhase, AgentState
from podstream_core.api import LiveSpec, StreamSession
from podstream_operator.decide.plan import UpdateSpec
from podstream_operator.facts import PodFacts

_LISTENING = (AgentPhase.READY, AgentPhase.CONNECTED)


def spec_update(
    session: StreamSession, *, pod: PodFacts, state: AgentState | None
) -> UpdateSpec | None:
    """The update that the pod needs, where it needs one.

    Level-triggered: what the agent says it follows is held against the spec, so that a lost call,
    a restarted operator and a change that came while the pod started all end the same way.

    Args:
        session: as it is now.
        pod: its pod.
        state: the agent's answer about this session; `None` where there is none.
    """
    if state is None or state.phase not in _LISTENING:
        return None
    wanted = LiveSpec.of(session.spec)
    if state.live is None or state.live == wanted:  # without it: a pod of an earlier release
        return None
    assert state.assignment_id is not None  # it is about this session
    return UpdateSpec(
        pod,
        assignment_id=state.assignment_id,
        generation=session.metadata.generation,
        live=wanted,
    )


def is_followed(session: StreamSession, *, state: AgentState | None) -> bool:
    """Whether nothing is known of a pod that does not follow the spec."""
    if state is None or state.live is None:
        return True
    return state.live == LiveSpec.of(session.spec)
