"""A pass: lets a browser's media element read one session's files, for some minutes.

A `<video>` asks for parts of a film as its player needs them and can send no header, and a token in
its URL would be kept in histories and logs. So a page shows the session's token once and is given a
cookie (RFC 6265): for the files' path of that session alone, out of reach for scripts, never sent
with requests from other sites. It is no client token: nothing else takes it.
"""

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from podstream_core.api import SessionKey
from podstream_core.tokens import PublicKeys, SigningKey, TokenError, TokenType
from podstream_router.access import Credential, holder_of

COOKIE: Final = "podstream-files"
LIFETIME_S: Final = 300
"""A page that goes on playing takes a new one well before; a lost one is worth little."""
_AUDIENCE: Final = "podstream-router/files"
"""Not that of client tokens: neither is taken for the other."""


@dataclass(frozen=True, slots=True)
class Passes:
    """Gives passes out and reads them. Keeps nothing: any replica reads any other's."""

    signer: SigningKey
    keys: PublicKeys

    def give(
        self, response: web.StreamResponse, *, session: SessionKey, uid: str, secure: bool
    ) -> None:
        """Add the cookie to an answer.

        Args:
            response: an answer to the one who has shown the session's token.
            session: whose files it opens.
            uid: the session's, so that a later one of the same name is not opened.
            secure: whether the browser has come by TLS; it then sends the cookie by TLS only.
        """
        value = self.signer.sign(
            TokenType.CLIENT, audience=_AUDIENCE, subject=uid, lifetime_s=LIFETIME_S
        )
        response.set_cookie(
            COOKIE,
            value,
            max_age=LIFETIME_S,
            path=f"/s/{session.namespace}/{session.name}/results/",
            httponly=True,
            samesite="Strict",
            secure=secure,
        )

    def read(self, request: web.Request) -> Credential | None:
        """Who shows a pass; `None` without one that is still good."""
        value = request.cookies.get(COOKIE)
        if not value:
            return None
        try:
            claims = self.keys.verify(value, kind=TokenType.CLIENT, audience=_AUDIENCE)
        except TokenError:
            return None
        return Credential(str(claims["sub"]), holder_of(value))
