"""Decides whether a client may reach a session, and who the client is."""

import hashlib
import secrets
from dataclasses import dataclass
from typing import Final

from podstream_core.agentapi import ANONYMOUS
from podstream_core.names import SECRET_TOKEN_KEY, VIEW_CLAIM, VIEW_SCOPE
from podstream_core.tokens import CLIENT_AUDIENCE, PublicKeys, TokenError, TokenType
from podstream_router.errors import Unauthorized, WrongSession
from podstream_router.routes import PoolRoute, SessionRoute

_MAX_TOKEN_CHARS: Final = 4096


@dataclass(frozen=True, slots=True)
class Credential:
    """A token whose signature, kind, audience and time are in order."""

    subject: str
    """UID of a session or pool, or the id under which a router has assigned a session's pod."""
    holder: str
    """Digest of the token: the same client, the same holder."""
    views_only: bool = False
    """It opens the session's pictures, and nothing else."""


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
    return None if token is None else check_token(token, keys=keys)


def check_token(token: str, *, keys: PublicKeys) -> Credential:
    """Check a client's token.

    Raises:
        Unauthorized: it is not acceptable.
    """
    try:
        claims = keys.verify(token, kind=TokenType.CLIENT, audience=CLIENT_AUDIENCE)
    except TokenError as error:
        raise Unauthorized(
            f"the token is not acceptable: {error}; read it anew from the session's Secret"
        ) from error
    views_only = claims.get(VIEW_CLAIM) == VIEW_SCOPE
    return Credential(str(claims["sub"]), holder_of(token), views_only)


def holder_of(token: str) -> str:
    """Holder id of the client that shows this token."""
    return hashlib.sha256(token.encode()).hexdigest()[:32]


def random_holder() -> str:
    """Holder id of a client that shows no token: nobody else can claim its slot."""
    return ANONYMOUS + secrets.token_hex(16)


def authorise(session: SessionRoute, *, credential: Credential | None) -> None:
    """Let a client in.

    Raises:
        Unauthorized: the session asks for a token and there is none.
        WrongSession: the token is for another session, or for looking on.
    """
    if session.public:
        return
    if credential is not None and credential.views_only:
        raise WrongSession(
            "this token opens the session's pictures only: use the one under the key "
            f"{SECRET_TOKEN_KEY!r} of the session's Secret"
        )
    authorise_view(session, credential=credential)


def authorise_view(session: SessionRoute, *, credential: Credential | None) -> None:
    """Let a viewer in: with the session's token, or the one for looking on.

    Raises:
        Unauthorized: the session asks for a token and there is none.
        WrongSession: the token is for another session.
    """
    if session.public:
        return
    if credential is None:
        raise Unauthorized(
            "this session needs its token: kubectl get secret "
            f"-n {session.key.namespace} {session.key.name}-access"
        )
    if credential.subject not in session.subjects:
        raise WrongSession(
            "the token belongs to another session (or to an earlier one of the same name)"
        )


def authorise_connection(
    session: SessionRoute, *, credential: Credential | None, pool: PoolRoute | None
) -> None:
    """Let a client change or end a connection whose unguessable URL it knows.

    A client that only knows one token sends the pool's, with which it came, here too.

    Raises:
        Unauthorized: the session asks for a token and there is none.
        WrongSession: the token is for another session.
    """
    if credential is None or pool is None or credential.subject != pool.uid:
        authorise(session, credential=credential)


def authorise_pool(pool: PoolRoute, *, credential: Credential | None) -> None:
    """Let a client have a new session of a pool.

    Raises:
        Unauthorized: the pool asks for a token and there is none.
        WrongSession: the token is for something else.
    """
    if pool.public and credential is None:
        return
    if credential is None:
        raise Unauthorized(
            "this pool needs its token: kubectl get secret "
            f"-n {pool.key.namespace} {pool.key.name}-pool-access"
        )
    if credential.subject != pool.uid:
        raise WrongSession(
            "the token is neither this pool's nor that of one of its sessions (which may be "
            "gone): for a new session connect "
            + ("without a token" if pool.public else "with the pool's token")
        )


def holder_for(session: SessionRoute, *, credential: Credential | None, anonymous: str) -> str:
    """Who the client is to the session's pod.

    A token of the session makes its client known again, also where none is needed.
    """
    if credential is not None and credential.subject in session.subjects:
        return credential.holder
    return anonymous
