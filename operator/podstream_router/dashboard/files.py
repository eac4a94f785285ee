"""`GET .../files`: what the session's pod has finished; downloads are the router's own path."""

from aiohttp import web

from podstream_router.agent import AgentClient
from podstream_router.dashboard.callers import Doorkeeper
from podstream_router.dashboard.paths import key_of
from podstream_router.dashboard.reading import answer
from podstream_router.errors import Overloaded, TryAgain
from podstream_router.routes import RouteTable


class Files:
    """Handler."""

    def __init__(self, *, door: Doorkeeper, routes: RouteTable, agent: AgentClient) -> None:
        self._door = door
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
