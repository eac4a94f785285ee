"""`GET /s/{namespace}/{session}/results`: what a session measured, for its client.

While the pod is there its agent is asked; afterwards the session's status answers.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from aiohttp import web

from podstream_router.agent import AgentClient
from podstream_router.errors import Refusal, TryAgain
from podstream_router.http import preflight
from podstream_router.routes import PodRoute, RouteTable, SessionRoute
from podstream_router.targets import SessionTarget

_PATH: Final = "/s/{namespace}/{session}/results"
_MEMBERS: Final = ("phase", "failure", "timeline", "results")

TargetReader = Callable[[web.Request], Awaitable[SessionTarget]]


class ResultsHandler:
    """Handler of the results path."""

    def __init__(self, *, routes: RouteTable, agent: AgentClient, target: TargetReader) -> None:
        self._routes = routes
        self._agent = agent
        self._target = target

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        app.router.add_get(_PATH, self.read)
        app.router.add_options(_PATH, preflight)

    async def read(self, request: web.Request) -> web.Response:
        """Answer with phase, timeline and results."""
        session = (await self._target(request)).find()
        pod = self._routes.pod_for(session)
        body = await self._from_pod(session, pod) if pod else None
        body = body or _from_status(session)
        text = msgspec.json.encode(body)
        return web.Response(body=text, content_type="application/json")

    async def _from_pod(self, session: SessionRoute, pod: PodRoute) -> dict[str, Any] | None:
        found = await live_figures(self._agent, pod)
        return None if found is None else {**_head(session, "pod"), **found}


async def live_figures(agent: AgentClient, pod: PodRoute) -> dict[str, Any] | None:
    """Phase, timeline and results as the pod has them; `None` where it does not answer."""
    try:
        state = (await agent.state(pod)).to_body()
    except (TryAgain, Refusal):
        return None
    return {name: state.get(name) for name in _MEMBERS}


def _from_status(session: SessionRoute) -> dict[str, Any]:
    return {
        **_head(session, "status"),
        "phase": session.phase or None,
        "results": msgspec.Raw(session.results) if session.results else None,
    }


def _head(session: SessionRoute, source: str) -> dict[str, Any]:
    return {"namespace": session.key.namespace, "session": session.key.name, "source": source}
