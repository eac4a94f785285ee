"""Which of the pods is the session's, and which is its client's?"""

from collections.abc import Iterable, Iterator

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
    return min(
        _candidates(session, pods=pods, restarts=restarts),
        # Of several, the same one for everybody who looks: see `surplus_pods`.
        key=lambda pod: (pod.gone, pod.uid),
        default=None,
    )


def surplus_pods(
    session: StreamSession, *, pods: Iterable[PodFacts], current: PodFacts, restarts: int
) -> list[PodFacts]:
    """Pods that were taken for the session beside its current one.

    Two operators that both believe to lead, for the moment until a lease is lost, may each give
    the session a pod. Each of them keeps the same one, whatever either has written to the status:
    else they would remove each other's.
    """
    return [
        pod
        for pod in _candidates(session, pods=pods, restarts=restarts)
        if pod.uid != current.uid and pod.exists and pod.deletion_at is None
    ]


def _candidates(
    session: StreamSession, *, pods: Iterable[PodFacts], restarts: int
) -> Iterator[PodFacts]:
    name = session_pod_name(session, restarts=restarts)
    for pod in pods:
        # A pod out of a pool keeps its name; one of an earlier version carries no number.
        fits = pod.name == name if pod.restart is None else pod.restart == restarts
        if pod.role == names.ROLE_SESSION and fits:
            yield pod


def client_pod(
    session: StreamSession, *, pods: Iterable[PodFacts], restarts: int
) -> PodFacts | None:
    """The built-in client's pod that belongs to that session pod."""
    name = client_pod_name(session, restarts=restarts)
    return _newest(pod for pod in pods if pod.name == name and pod.role == names.ROLE_CLIENT)


def _newest(pods: Iterable[PodFacts]) -> PodFacts | None:
    """A pod that was deleted and made again under its name counts by the newest object."""
    return min(pods, key=lambda pod: pod.gone, default=None)
