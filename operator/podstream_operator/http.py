"""The operator's own HTTP server: liveness, readiness, metrics, and hints from routers.

What routers post is for the replica that leads. They post it to every replica, and the others
answer 503.
"""

import json
import logging
from collections.abc import Awaitable, Callable
from typing import Annotated, Final

import msgspec
from aiohttp import web

from podstream_core.api import PoolKey, SessionKey

logger = logging.getLogger(__name__)

MAX_HINT_BYTES: Final = 4096

Check = Callable[[], str | None]
"""What is wrong, or `None`."""


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """How many connections wait at a router for a pod of a pool."""

    namespace: str
    pool: str
    waiting: Annotated[int, msgspec.Meta(ge=0)]
    router: Annotated[str, msgspec.Meta(min_length=1, max_length=253)]

    @property
    def key(self) -> PoolKey:
        """The pool."""
        return PoolKey(self.namespace, self.pool)


class OperatorHttp:
    """Serves `/healthz`, `/readyz`, `/metrics`, `POST /hint` and `POST /demand`.

    A hint makes a session due earlier and can do nothing else: it names a session that the
    operator knows, and a key that is due already is not made due twice. Demand starts pods of a
    pool ahead, never more than its `spec.max`. So neither needs a token; the chart's NetworkPolicy
    admits routers only.
    """

    def __init__(
        self,
        *,
        live: Check,
        ready: Check,
        leads: Callable[[], bool],
        metrics: Callable[[], bytes],
        knows: Callable[[SessionKey], bool],
        hint: Callable[[SessionKey], None],
        demand: Callable[[Demand], bool],
    ) -> None:
        self._live = live
        self._ready = ready
        self._leads = leads
        self._metrics = metrics
        self._knows = knows
        self._hint = hint
        self._demand = demand
        self._runner: web.AppRunner | None = None

    async def start(self, *, host: str | None, port: int) -> int:
        """Listen; the port, which is a free one where 0 was asked for."""
        app = web.Application(client_max_size=MAX_HINT_BYTES, middlewares=[self._only_leader])
        app.add_routes(
            [
                web.get("/healthz", self._get_healthz),
                web.get("/readyz", self._get_readyz),
                web.get("/metrics", self._get_metrics),
                web.post("/hint", self._post_hint),
                web.post("/demand", self._post_demand),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        bound: int = self._runner.addresses[0][1]
        return bound

    async def stop(self) -> None:
        """Close the server; closing it again does nothing."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    @web.middleware
    async def _only_leader(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if request.method == "POST" and not self._leads():
            return _refusal(503, "NotLeading", "another replica of the operator leads")
        return await handler(request)

    async def _get_healthz(self, _request: web.Request) -> web.Response:
        return _report(self._live())

    async def _get_readyz(self, _request: web.Request) -> web.Response:
        return _report(self._ready())

    async def _get_metrics(self, _request: web.Request) -> web.Response:
        return web.Response(
            body=self._metrics(), headers={"Content-Type": "text/plain; version=0.0.4"}
        )

    async def _post_hint(self, request: web.Request) -> web.Response:
        try:
            body = json.loads(await request.read())
            key = SessionKey.parse(f"{body['namespace']}/{body['name']}")
        except (ValueError, KeyError, TypeError) as error:
            return _refusal(400, "BadHint", f'expected {{"namespace", "name"}}: {error}')
        if not self._knows(key):
            return _refusal(404, "UnknownSession", f"there is no session {key}")
        self._hint(key)
        return web.json_response({}, status=202)

    async def _post_demand(self, request: web.Request) -> web.Response:
        try:
            demand = msgspec.json.decode(await request.read(), type=Demand)
        except msgspec.MsgspecError as error:
            return _refusal(400, "BadDemand", str(error))
        if not self._demand(demand):
            return _refusal(404, "UnknownPool", f"there is no pool {demand.key}")
        return web.json_response({}, status=202)


def _report(trouble: str | None) -> web.Response:
    if trouble is None:
        return web.Response(text="ok\n")
    return web.Response(status=503, text=f"{trouble}\n")


def _refusal(status: int, error: str, message: str) -> web.Response:
    return web.json_response({"error": error, "message": message}, status=status)
