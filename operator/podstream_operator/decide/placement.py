"""Which of the pods is the session's, and which is its client's?"""

from collections.abc import Iterable

from podstream_core import names
from podstream_core.api import SessionStatus, StreamSession
from podstream_operator.facts import PodFacts
from podstream_operator.resources import client_pod_name, session_pod_name


def restarts_of(status: SessionStatus) -> int:
    """Replacements used so far; written to status before each one is created."""
    return status.pod.restarts if status.pod else 0


def current_pod(
    session: StreamSession, *, pods: Iterable[PodFacts], restarts: int
) -> PodFacts | None:
    """The session pod after so many replacements, also in its last state where it is gone."""
    name = session_pod_name(session, restarts=restarts)
    return _newest(
        pod
        for pod in pods
        if pod.role == names.ROLE_SESSION
        # A pod out of a pool keeps its name; one of an earlier version carries no number.
        and (pod.name == name if pod.restart is None else pod.restart == restarts)
    )


def client_pod(
    session: StreamSession, *, pods: Iterable[PodFacts], restarts: int
) -> PodFacts | None:
    """The built-in client's pod that belongs to that session pod."""
    name = client_pod_name(session, restarts=restarts)
    return _newest(pod for pod in pods if pod.name == name and pod.role == names.ROLE_CLIENT)


def _newest(pods: Iterable[PodFacts]) -> PodFacts | None:
    """A pod that was deleted and made again under its name counts by the newest object."""
    return min(pods, key=lambda pod: pod.gone, default=None)
