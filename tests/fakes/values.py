"""Values for tables: a session, a pod and an agent's state with the few things a case is about."""

from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from podstream_core import names
from podstream_core.agentapi import AgentPhase, AgentState
from podstream_core.api import SessionStatus, StreamSession, Timeline
from podstream_operator.facts import Memory, PodFacts, PodMemory, SecretFacts, Site
from podstream_operator.resources import SessionImage, client_pod_name, session_pod_name

UID = "5e551011-0000-4000-8000-000000000001"
POD_UID = "90d00000-0000-4000-8000-000000000001"
START = datetime(2026, 11, 21, 10, 0, 0, tzinfo=UTC)
SITE = Site("http://127.0.0.1:8080", "http://router.ns.svc:8080", "h:50052", "r:50052")
IMAGE = SessionImage(
    image="podstream/session:1",
    tracking_image="podstream/session-tracking:1",
    router_url="http://podstream-router.streams.svc:8080",
    pull_policy="IfNotPresent",
    requests={"cpu": "250m", "memory": "256Mi"},
    limits={"cpu": "2", "memory": "1Gi"},
    public_keys='{"keys":[]}',
    log_level="INFO",
    log_format="json",
)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def make_session(*, status: SessionStatus | None = None, **spec: Any) -> StreamSession:
    session = StreamSession.from_body(
        {
            "metadata": {
                "name": "ball",
                "namespace": "media",
                "uid": UID,
                "generation": 1,
                "creationTimestamp": "2026-11-21T10:00:00Z",
            },
            "spec": {"circle": {"frames": 600}, **spec},
        }
    )
    return session if status is None else msgspec.structs.replace(session, status=status)


def make_pod(*, restarts: int = 0, role: str = names.ROLE_SESSION, **changes: Any) -> PodFacts:
    name = session_pod_name if role == names.ROLE_SESSION else client_pod_name
    values: dict[str, Any] = {
        "namespace": "media",
        "name": name(make_session(), restarts=restarts),
        "uid": POD_UID if restarts == 0 else f"{POD_UID[:-1]}{restarts + 1}",
        "session": "ball",
        "role": role,
        "owner_uid": UID,
        "created_at": START,
        **changes,
    }
    return PodFacts(**values)


def running_pod(**changes: Any) -> PodFacts:
    return make_pod(
        **{"phase": "Running", "ip": "10.0.0.7", "node": "n1", "started_at": START, **changes}
    )


def make_state(phase: AgentPhase, **changes: Any) -> AgentState:
    times = {"assigned_at": at(1)}
    if phase is not AgentPhase.STARTING:
        times["ready_at"] = at(2)
    values: dict[str, Any] = {
        "pod_uid": POD_UID,
        "phase": phase,
        "assignment_id": UID,
        "timeline": Timeline(**times),
        **changes,
    }
    return AgentState(**values)


def make_memory(**changes: Any) -> Memory:
    """A memory whose Secret is in order; fields of `PodMemory` go there."""
    of_pod = {
        item.name: changes.pop(item.name) for item in fields(PodMemory) if item.name in changes
    }
    secret = SecretFacts("ball-access", "s1", UID, True, at(100_000_000))
    values: dict[str, Any] = {
        "first_seen_at": at(0.25),
        "secret": secret,
        "secret_checked_at": at(100_000_000),
        "pod": PodMemory(**of_pod),
        **changes,
    }
    return Memory(**values)


def knows_pod(**changes: Any) -> Memory:
    """A memory of an agent that has confirmed the session."""
    return make_memory(**{"uid": POD_UID, "assigned": True, "contact_at": at(0.5), **changes})
