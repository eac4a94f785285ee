"""A pod that a connection has won, and the session that is made of it."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from podstream_core import names
from podstream_core.api import Origin, SessionKey
from podstream_core.assignment import AssignedPod
from podstream_router.routes import PodRoute, PoolRoute, SessionRoute

_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz0123456789"
_SUFFIX_CHARS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A pod that has accepted this router's assignment."""

    pool: PoolRoute
    pod: PodRoute
    session: SessionRoute
    """The session as it will be; its UID is the assignment's id until the resource exists."""
    token: str
    """Client token of the session."""
    arrived: datetime
    origin: Origin


def new_session_key(pool: PoolRoute, *, is_taken: Callable[[SessionKey], bool]) -> SessionKey:
    """A name for a connection's session that nobody has yet, as far as this router sees."""
    while True:
        suffix = "".join(secrets.choice(_ALPHABET) for _ in range(_SUFFIX_CHARS))
        key = SessionKey(pool.key.namespace, f"{pool.key.name}-{suffix}")
        if not is_taken(key):
            return key


def session_spec(pool: PoolRoute) -> dict[str, Any]:
    """`spec` of a connection's session: the template as it stands, and where it came from."""
    template = msgspec.json.decode(pool.template, type=dict[str, Any])
    return {**template, "poolRef": {"name": pool.key.name}}


def provisional_session(
    pool: PoolRoute,
    *,
    key: SessionKey,
    pod: PodRoute,
    assignment_id: str,
    arrived: datetime,
    source: str,
) -> SessionRoute:
    """The session as this router serves it until the watch shows the resource."""
    return SessionRoute(
        key=key,
        uid=assignment_id,
        created=arrived,
        public=pool.public,
        workloads=pool.workloads,
        pool=pool.key.name,
        assigned=AssignedPod(assignment_id, pod.name, pod.uid),
        client_address=source,
    )


def session_body(claim: Claim) -> dict[str, Any]:
    """The StreamSession of a claim.

    Not owned by the pool: deleting a pool deletes no session and no result.
    """
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.SESSION_KIND,
        "metadata": {
            "name": claim.session.key.name,
            "namespace": claim.session.key.namespace,
            "labels": {names.LABEL_POOL: claim.pool.key.name},
            "annotations": {
                names.ANNOTATION_ASSIGNMENT: str(claim.session.assigned),
                names.ANNOTATION_ARRIVED_AT: claim.arrived.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
                names.ANNOTATION_ORIGIN: claim.origin.value,
            },
        },
        "spec": session_spec(claim.pool),
    }
