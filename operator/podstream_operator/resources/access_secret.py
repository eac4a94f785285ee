"""The Secret with the token that opens a session, or a pool, for its client."""

import base64
from typing import Any

from podstream_core import names
from podstream_core.api import AccessMode, StreamPool, StreamSession
from podstream_core.assignment import AssignedPod
from podstream_operator.resources.metadata import child_labels, owner_reference
from podstream_operator.resources.names import secret_name


def has_secret(owner: StreamSession | StreamPool) -> bool:
    """Whether the token lies in a Secret.

    A connection to a pool was given the token of its session by the router that admitted it.
    """
    if isinstance(owner, StreamPool):
        return not owner.is_public
    made_by_connection = AssignedPod.of(owner.metadata.annotations) is not None
    return owner.spec.access.mode is AccessMode.TOKEN and not made_by_connection


def has_view_token(owner: StreamSession | StreamPool) -> bool:
    """Whether there are pictures that somebody may be allowed to look at, and no more."""
    return isinstance(owner, StreamSession) and owner.spec.stream is not None


def build_access_secret(
    owner: StreamSession | StreamPool, *, token: str, view_token: str | None = None
) -> dict[str, Any]:
    """The Secret, owned by the session or pool and gone with it."""
    tokens = {names.SECRET_TOKEN_KEY: token}
    if view_token is not None:
        tokens[names.SECRET_VIEW_TOKEN_KEY] = view_token
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": secret_name(owner),
            "namespace": owner.metadata.namespace,
            "labels": child_labels(owner),
            "ownerReferences": [owner_reference(owner)],
        },
        "type": "Opaque",
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in tokens.items()},
    }
