"""Decides whether a client may reach a session, and who the client is."""

import hashlib
import secrets
from dataclasses import dataclass
from typing import Final

from podstream_core.tokens import CLIENT_AUDIENCE, PublicKeys, TokenError, TokenType
from podstream_router.errors import Unauthorized, WrongSession
from podstream_router.routes import SessionRoute

_MAX_TOKEN_CHARS: Final = 4096


@dataclass(frozen=True, slots=True)
class Credential:
    """A token whose signature, kind, audience and time are in order."""

    session_uid: str
    holder: str
    """Digest of the token: the same client, the same holder."""


def bearer_token(authorization: str | None) -> str | None:
    """The token of an `Authorization` header; `None` without one.

    Raises:
        Unauthorized: the header is there but holds no bearer token.
    """
    if authorization is None:
        return None
    scheme, _, token = authorization.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or len(token) > _MAX_TOKEN_CHARS:
        raise Unauthorized("send the session's token as 'Authorization: Bearer <token>'")
    return token


def read_credential(authorization: str | None, *, keys: PublicKeys) -> Credential | None:
    """Check the token of a request; `None` where it carries none.

    Raises:
        Unauthorized: there is a token and it is not acceptable.
    """
    token = bearer_token(authorization)
    if token is None:
        return None
    try:
        claims = keys.verify(token, kind=TokenType.CLIENT, audience=CLIENT_AUDIENCE)
    except TokenError as error:
        raise Unauthorized(
            f"the token is not acceptable: {error}; read it anew from the session's Secret"
        ) from error
    return Credential(str(claims["sub"]), hashlib.sha256(token.encode()).hexdigest()[:32])


def authorise(session: SessionRoute, *, credential: Credential | None) -> str:
    """Let a client in and return its holder id.

    Raises:
        Unauthorized: the session asks for a token and there is none.
        WrongSession: the token is for another session.
    """
    if session.public:
        return random_holder()
    if credential is None:
        raise Unauthorized(
            "this session needs its token: kubectl get secret "
            f"-n {session.key.namespace} {session.key.name}-access"
        )
    if credential.session_uid != session.uid:
        raise WrongSession(
            "the token belongs to another session (or to an earlier one of the same name)"
        )
    return credential.holder


def random_holder() -> str:
    """Holder id of a client that shows no token: nobody else can claim its slot."""
    return secrets.token_hex(16)
