"""Does the session need its built-in client now, and how did that client end?"""

from podstream_core.api import ConditionType, SessionStatus, StreamSession
from podstream_operator.decide.placement import client_pod
from podstream_operator.decide.plan import CreateClient
from podstream_operator.facts import Observed
from podstream_operator.status import is_true


def client_actions(
    session: StreamSession, *, previous: SessionStatus, observed: Observed, restarts: int
) -> tuple[CreateClient, ...]:
    """Start the built-in client once Ready is on record; never a second one for the same pod."""
    wanted = (
        session.spec.client.built_in
        and is_true(previous, ConditionType.READY)
        and previous.timeline.connected_at is None
    )
    if not wanted or client_pod(session, pods=observed.pods, restarts=restarts) is not None:
        return ()
    return (CreateClient(restarts),)


def client_trouble(
    session: StreamSession, *, observed: Observed, restarts: int
) -> tuple[str, str] | None:
    """Reason and message for the Connected condition where the built-in client has failed."""
    rejection = observed.memory.client_rejection
    if rejection is not None:
        return "ClientRejected", rejection.message
    pod = client_pod(session, pods=observed.pods, restarts=restarts)
    if pod is None or pod.phase != "Failed":
        return None
    code = pod.terminated.exit_code if pod.terminated else "?"
    return "ClientFailed", f"pod {pod.name} of the built-in client ended with exit code {code}"
