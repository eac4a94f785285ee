"""Files that the pod has finished: `GET .../files` lists them, `POST .../files/pass` plays them.

Downloads are the router's own path.
"""

from typing import Final

from aiohttp import web

from podstream_router.agent import AgentClient
from podstream_router.dashboard.callers import Doorkeeper, Holder
from podstream_router.dashboard.paths import key_of
from podstream_router.dashboard.reading import answer
from podstream_router.errors import Forbidden, Overloaded, TryAgain
from podstream_router.passes import Passes
from podstream_router.routes import RouteTable

_FORWARDED: Final = "X-Forwarded-Proto"
"""Set by an Ingress that ends TLS before the router."""


class Files:
    """Handlers."""

    def __init__(
        self, *, door: Doorkeeper, routes: RouteTable, agent: AgentClient, passes: Passes
    ) -> None:
        self._door = door
        self._passes = passes
        self._routes = routes
        self._agent = agent

    async def list(self, request: web.Request) -> web.Response:
        """Name, size and checksum of each; empty without a pod."""
        caller = await self._door.identify(request)
        key = key_of(request)
        self._door.session(caller, key)
        session = self._routes.session(key)
        pod = self._routes.pod_for(session) if session is not None else None
        if pod is None:
            return answer({"items": []})
        try:
            items = await self._agent.artefacts(pod)
        except TryAgain as error:
            raise Overloaded(f"{error}: try again") from error
        return answer({"items": items})

    async def give_pass(self, request: web.Request) -> web.Response:
        """A cookie with which the browser's player reads this session's files for some minutes.

        Only for the session's own token: people read that one with their own rights first.
        """
        caller = await self._door.identify(request)
        key = key_of(request)
        entry = self._door.session(caller, key)
        if not isinstance(caller, Holder):
            raise Forbidden("show the session's token (GET .../token) for a pass to its files")
        response = answer({})
        secure = request.secure or request.headers.get(_FORWARDED, "").lower() == "https"
        self._passes.give(response, session=key, uid=entry.uid, secure=secure)
        return response
