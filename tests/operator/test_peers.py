"""A session that waits for another one says what is wrong with that one, before it times out."""

from typing import Any

import pytest

from fakes.deciding import run, status_of
from fakes.values import at, make_memory, make_pod, make_session
from podstream_core.api import ConditionType, StreamSession
from podstream_operator.facts import Waiting

CAMERA: dict[str, Any] = {"camera": {"id": "gate", "siteRef": {"name": "yard"}}}
EDGE: dict[str, Any] = {"edge": {"cloudRef": {"name": "cloud"}}}
SITE: dict[str, Any] = {"orchestrator": {}}
CLOUD: dict[str, Any] = {"recognition": {"gallery": {"claimName": "f", "path": "g"}}}
PENDING = make_pod(phase="Pending", waiting=Waiting("ContainerCreating", ""))


def tracking(member: dict[str, Any], *, mode: str = "Token") -> StreamSession:
    return make_session(circle=None, tracking=member, access={"mode": mode})


def ready_reason(session: StreamSession, peer: StreamSession | None, *, after_s: float) -> str:
    plan = run(session, pods=(PENDING,), peer=peer, memory=make_memory(), now=at(after_s))
    if plan.status is None:
        return ""
    condition = status_of(plan).condition(ConditionType.READY)
    return f"{condition.reason}: {condition.message}" if condition else ""


@pytest.mark.parametrize(
    ("session", "peer", "reason", "words"),
    [
        pytest.param(CAMERA, None, "PeerNotFound", "StreamSession yard", id="no-site"),
        pytest.param(EDGE, None, "PeerNotFound", "StreamSession cloud", id="no-cloud"),
        pytest.param(
            CAMERA, tracking(SITE, mode="Public"), "PeerHasNoToken", "Public", id="public-site"
        ),
        pytest.param(
            EDGE, tracking(CLOUD, mode="Public"), "PeerHasNoToken", "Public", id="public-cloud"
        ),
        pytest.param(CAMERA, tracking(CLOUD), "PeerMismatch", "orchestrator", id="no-site-at-all"),
        pytest.param(EDGE, make_session(), "PeerMismatch", "recognition", id="another-workload"),
    ],
)
def test_what_is_wrong_with_the_other_session_is_the_condition_s_reason(
    session: dict[str, Any], peer: StreamSession | None, reason: str, words: str
) -> None:
    told = ready_reason(tracking(session), peer, after_s=6)
    assert told.startswith(f"{reason}: spec.tracking.")
    assert words in told
    assert not ready_reason(tracking(session), peer, after_s=1).startswith("Peer")


@pytest.mark.parametrize(
    ("session", "peer"),
    [pytest.param(CAMERA, SITE, id="camera"), pytest.param(EDGE, CLOUD, id="edge")],
)
def test_a_session_that_fits_is_no_problem(session: dict[str, Any], peer: dict[str, Any]) -> None:
    assert "Peer" not in ready_reason(tracking(session), tracking(peer), after_s=6)


def test_a_session_that_needs_no_other_one_is_no_problem() -> None:
    assert "Peer" not in ready_reason(tracking(SITE), None, after_s=6)
