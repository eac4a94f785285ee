"""The reading half of the API: who am I, and what is there."""

from collections.abc import Iterable

import msgspec
from aiohttp import web

from podstream_router.dashboard.board import Board, Entry
from podstream_router.dashboard.callers import Doorkeeper, Holder
from podstream_router.dashboard.paths import key_of
from podstream_router.errors import WrongSession
from podstream_router.settings import ALL_NAMESPACES

_NO_STORE = {"Cache-Control": "no-store"}


def answer(body: object, *, status: int = 200) -> web.Response:
    """JSON that no cache keeps."""
    text = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return web.Response(
        body=text, status=status, content_type="application/json", headers=_NO_STORE
    )


class Reading:
    """Handlers."""

    def __init__(self, *, board: Board, door: Doorkeeper) -> None:
        self._board = board
        self._door = door

    async def me(self, request: web.Request) -> web.Response:
        """`GET /api/v1/me`: what this token opens."""
        caller = await self._door.identify(request)
        if isinstance(caller, Holder):
            entry = self._board.session_of(caller.subject)
            if entry is None:
                raise WrongSession("this token's session is not there (any more)")
            key = entry.place[1]
            session = {"namespace": key.namespace, "name": key.name}
            return answer({"kind": "session", "session": session})
        person = caller.person
        return answer(
            {
                "kind": "person",
                "name": person.name,
                "namespaces": self._named(person.readable),
                "mayCreateIn": self._named(person.creatable),
            }
        )

    def _named(self, namespaces: Iterable[str]) -> list[str]:
        """Namespaces by name: of `*` those that have a session or pool."""
        found = set(namespaces)
        if ALL_NAMESPACES in found:
            found.discard(ALL_NAMESPACES)
            entries = [*self._board.all("session"), *self._board.all("pool")]
            found |= {entry.place[1].namespace for entry in entries} or {"default"}
        return sorted(found)

    async def sessions(self, request: web.Request) -> web.Response:
        """`GET /api/v1/sessions`."""
        caller = await self._door.identify(request)
        return _list(entry for entry in self._board.all("session") if caller.may_see(entry))

    async def pools(self, request: web.Request) -> web.Response:
        """`GET /api/v1/pools`."""
        caller = await self._door.identify(request)
        return _list(entry for entry in self._board.all("pool") if caller.may_see(entry))

    async def session(self, request: web.Request) -> web.Response:
        """`GET /api/v1/sessions/{namespace}/{name}`."""
        caller = await self._door.identify(request)
        return answer(self._door.session(caller, key_of(request)).body)


def _list(entries: Iterable[Entry]) -> web.Response:
    return answer({"items": [msgspec.Raw(entry.body) for entry in entries]})
