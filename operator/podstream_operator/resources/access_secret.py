"""The Secret with the token that opens a session for its client."""

import base64
from typing import Any

from podstream_core import names
from podstream_core.api import StreamSession
from podstream_operator.resources.metadata import child_labels, owner_reference
from podstream_operator.resources.names import secret_name


def build_access_secret(session: StreamSession, *, token: str) -> dict[str, Any]:
    """The Secret, owned by the session and gone with it."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": secret_name(session),
            "namespace": session.metadata.namespace,
            "labels": child_labels(session),
            "ownerReferences": [owner_reference(session)],
        },
        "type": "Opaque",
        "data": {names.SECRET_TOKEN_KEY: base64.b64encode(token.encode()).decode()},
    }
