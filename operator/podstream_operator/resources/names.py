"""Names of a session's children.

They follow from the session's UID and the number of the replacement: a reconcile that works on an
old picture meets its own earlier pod (409) instead of making a second one.
"""

import hashlib
from typing import Final

from podstream_core.api import StreamPool, StreamSession

_MAX_POD_NAME: Final = 63
"""A pod's name is its host name too, and that ends at a DNS label's length (RFC 1123)."""
_DIGEST_CHARS: Final = 8


def session_pod_name(session: StreamSession, *, restarts: int) -> str:
    """Name of the session pod after so many replacements."""
    return _with_digest(session.metadata.name, session=session, purpose=f"session/{restarts}")


def client_pod_name(session: StreamSession, *, restarts: int) -> str:
    """Name of the built-in client's pod that belongs to that session pod."""
    prefix = f"{session.metadata.name}-client"
    return _with_digest(prefix, session=session, purpose=f"client/{restarts}")


def secret_name(owner: StreamSession | StreamPool) -> str:
    """Name of the Secret with the client's token; a pool and a session of one name share it not."""
    name = owner.metadata.name
    return session_secret_name(name) if isinstance(owner, StreamSession) else f"{name}-pool-access"


def session_secret_name(session: str) -> str:
    """Name of the Secret with the token of the session of that name."""
    return f"{session}-access"


def _with_digest(prefix: str, *, session: StreamSession, purpose: str) -> str:
    text = f"{session.metadata.uid}/{purpose}"
    digest = hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_CHARS]
    return f"{prefix[: _MAX_POD_NAME - _DIGEST_CHARS - 1].rstrip('-.')}-{digest}"
