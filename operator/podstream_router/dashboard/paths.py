"""Paths of the dashboard's API, and how they are read."""

from typing import Final

from aiohttp import web

from podstream_core.api import SessionKey
from podstream_router.errors import UnknownSession

API: Final = "/api/v1"
SESSIONS: Final = f"{API}/sessions"
SESSION: Final = SESSIONS + "/{namespace}/{name}"
POOLS: Final = f"{API}/pools"


def key_of(request: web.Request) -> SessionKey:
    """Namespace and name that a path names.

    Raises:
        UnknownSession: nothing can have this name.
    """
    info = request.match_info
    try:
        return SessionKey.parse(f"{info['namespace']}/{info['name']}")
    except ValueError as error:
        raise UnknownSession(f"{error}: the path is {SESSION}") from error
