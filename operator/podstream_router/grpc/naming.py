"""Which session or pool does a gRPC call ask for?"""

from collections.abc import Sequence
from typing import Final

from podstream_core.api import SessionKey
from podstream_core.tokens import PublicKeys
from podstream_router.access import read_credential
from podstream_router.errors import BadRequest
from podstream_router.grpc.opening import Request
from podstream_router.routes import RouteTable
from podstream_router.targets import ListenerTarget, SessionTarget

SESSION_METADATA: Final = "podstream-session"
"""Request metadata of a client that names its session: `namespace/name`."""


def target_of(
    request: Request,
    *,
    listener: str,
    routes: RouteTable,
    namespaces: Sequence[str],
    keys: PublicKeys,
) -> SessionTarget | ListenerTarget:
    """The session that the metadata name, else the one that the authority names, else the port's.

    A client that cannot send metadata names its session by the host it connects to:
    `<session>.<namespace>.<anything>`, or `<session>` where one namespace is served. A host that
    names no session leads where the listener leads, as for clients that know of no sessions.

    Raises:
        Refusal: the metadata are malformed, or the token is not acceptable.
    """
    credential = read_credential(request.metadata.get("authorization"), keys=keys)
    named = request.metadata.get(SESSION_METADATA)
    if named is not None:
        try:
            return SessionTarget(SessionKey.parse(named), credential, routes)
        except ValueError as error:
            raise BadRequest(f"metadata {SESSION_METADATA}: {error}") from error
    for key in _keys_of(request.authority, namespaces=namespaces):
        if routes.session(key) is not None:
            return SessionTarget(key, credential, routes)
    return ListenerTarget(listener, routes)


def _keys_of(authority: str, *, namespaces: Sequence[str]) -> list[SessionKey]:
    labels = authority.partition(":")[0].lower().split(".")
    keys = [SessionKey(labels[1], labels[0])] if len(labels) > 1 else []
    if len(namespaces) == 1:
        keys.append(SessionKey(namespaces[0], labels[0]))
    return keys
