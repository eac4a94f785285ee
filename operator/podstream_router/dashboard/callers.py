"""Who calls the dashboard's API: the holder of one session's token, or a person of the cluster."""

from dataclasses import dataclass
from typing import Final

import jwt
from aiohttp import web

from podstream_core.api import SessionKey
from podstream_core.tokens import PublicKeys
from podstream_router.access import bearer_token, check_token
from podstream_router.admission import RateLimit
from podstream_router.dashboard.board import Board, Entry, Place
from podstream_router.dashboard.people import People, Person
from podstream_router.errors import (
    Forbidden,
    Unauthorized,
    UnknownSession,
    WrongSession,
)
from podstream_router.http import client_address

_OWN_TYPES: Final = "podstream-"


@dataclass(frozen=True, slots=True)
class Holder:
    """Somebody with a session's token."""

    subject: str

    def may_see(self, entry: Entry) -> bool:
        """Only their own session."""
        return entry.place[0] == "session" and self.subject in entry.subjects


@dataclass(frozen=True, slots=True)
class Member:
    """A person of the cluster."""

    person: Person

    def may_see(self, entry: Entry) -> bool:
        """Sessions and pools of the namespaces that they may read."""
        return self.person.may_read(entry.place[1].namespace)


Caller = Holder | Member


class Doorkeeper:
    """Finds out who calls, and lets nobody see what is not theirs."""

    def __init__(
        self, *, board: Board, keys: PublicKeys, people: People | None, rate: RateLimit
    ) -> None:
        """`people`: `None` where only sessions' tokens are taken."""
        self._board = board
        self._keys = keys
        self._people = people
        self._rate = rate

    async def identify(self, request: web.Request) -> Caller:
        """Who calls.

        Raises:
            Refusal: too many requests, or no token that is acceptable.
        """
        self._rate.spend(client_address(request))
        token = bearer_token(request.headers.get("Authorization"))
        if token is None:
            raise Unauthorized("log in with a session's token, or with a token of Kubernetes")
        if _is_ours(token):
            credential = check_token(token, keys=self._keys)
            if credential.views_only:
                raise WrongSession("this token opens the session's pictures only")
            return Holder(credential.subject)
        if self._people is None:
            raise Unauthorized("this is no session's token, and others are not taken here")
        return Member(await self._people.identify(token))

    async def check_again(
        self, request: web.Request, caller: Caller, key: SessionKey | None
    ) -> None:
        """Make sure that a stream may go on.

        Raises:
            Refusal: the token opens less than it did, or nothing.
        """
        if await self.identify(request) != caller:
            raise Unauthorized("the rights of this token have changed")
        if key is not None:
            self.session(caller, key)

    def session(self, caller: Caller, key: SessionKey) -> Entry:
        """A session that the caller may see.

        Raises:
            WrongSession: it is not theirs; the same answer whether it exists or not.
            UnknownSession: there is none.
        """
        entry = self._board.get("session", key)
        if isinstance(caller, Holder):
            if entry is None or not caller.may_see(entry):
                raise WrongSession(f"this token does not open session {key}")
            return entry
        self._check_namespace(caller, key)
        if entry is None:
            raise UnknownSession(f"there is no session {key}")
        return entry

    def visible(self, caller: Caller, place: Place) -> Entry | None:
        """What is at a place, if the caller may see it."""
        entry = self._board.get(*place)
        return entry if entry is not None and caller.may_see(entry) else None

    def _check_namespace(self, caller: Member, key: SessionKey) -> None:
        if not caller.person.may_read(key.namespace):
            raise Forbidden(f"{caller.person.name} may not list streamsessions in {key.namespace}")


def _is_ours(token: str) -> bool:
    """Whether a token says that this project has made it: such a one never leaves here."""
    try:
        kind = jwt.get_unverified_header(token).get("typ")
    except jwt.InvalidTokenError:
        return False
    return isinstance(kind, str) and kind.startswith(_OWN_TYPES)
