"""The control port: health, metrics, assignment, retirement, state, drain, results."""

import asyncio
import ipaddress
import logging
from pathlib import Path
from typing import Final

import msgspec
from aiohttp import web
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from podstream_core import names
from podstream_core.agentapi import AssignRequest, Failure, MediaPath, SpecUpdate
from podstream_core.api import Results
from podstream_core.api.base import ApiValue
from podstream_workloads.agent.agent import Agent
from podstream_workloads.agent.errors import Refusal
from podstream_workloads.agent.httpserver import HttpServer, answer, bearer_token, read_value
from podstream_workloads.agent.metrics import AgentMetrics
from podstream_workloads.agent.ranges import requested_part

MAX_ASSIGN_BYTES: Final = 256 * 1024
ASSIGN_WAIT_S: Final = 0.5
"""How long an assignment's answer may wait for the session to be ready: a warm pod needs a few
milliseconds, and who assigns then need not ask again."""
ARTEFACT_TIMEOUT_S: Final = 600.0
"""A reader that takes longer for one file is cut off."""


_CHUNK_BYTES: Final = 256 * 1024

logger = logging.getLogger(__name__)


class DrainRequest(ApiValue, frozen=True, kw_only=True):
    """Body of `POST /drain`."""

    reason: str = "Drained"
    message: str = "the session was told to end"


class ArtefactItem(ApiValue, frozen=True, kw_only=True):
    """One artefact of `GET /results`."""

    name: str
    size: int
    """Bytes."""
    sha256: str


class ResultsBody(ApiValue, frozen=True, kw_only=True):
    """Answer of `GET /results`."""

    items: list[ArtefactItem]
    results: Results | None = None


class ControlApi:
    """Handlers of the control port."""

    def __init__(
        self, agent: Agent, *, metrics: AgentMetrics, group: asyncio.TaskGroup, timeout_s: float
    ) -> None:
        """`timeout_s`: for a request's body."""
        self._agent = agent
        self._metrics = metrics
        self._group = group
        self._timeout_s = timeout_s

    def add_to(self, server: HttpServer) -> None:
        """Add the routes."""
        router = server.app.router
        router.add_get("/healthz", self._healthz)
        router.add_get("/readyz", self._readyz)
        router.add_get("/metrics", self._metrics_text)
        router.add_post("/assign", self._assign)
        router.add_post("/retire", self._retire)
        router.add_get("/state", self._state)
        router.add_put("/spec", self._spec)
        router.add_post("/media-path", self._media_path)
        router.add_post("/drain", self._drain)
        router.add_get("/results", self._results)
        router.add_get("/results/{name}", self._artefact)

    async def _healthz(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, _request: web.Request) -> web.Response:
        # Assignments are accepted since the port was opened; but a pod of a pool counts as warm
        # when it is ready, so it is not before its workloads are loaded.
        if self._agent.is_warm:
            return web.Response(text="ok\n")
        return web.Response(text="the workloads are being loaded\n", status=503)

    async def _metrics_text(self, _request: web.Request) -> web.Response:
        body = generate_latest(self._metrics.registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _assign(self, request: web.Request) -> web.Response:
        body = await read_value(request, AssignRequest, timeout_s=self._timeout_s)
        self._agent.assign(body.token)
        return answer(await self._agent.wait_started(timeout_s=ASSIGN_WAIT_S))

    async def _retire(self, request: web.Request) -> web.Response:
        # No confirmation: who retires a pod takes it for idle and knows of no session.
        self._agent.authorize_control(bearer_token(request), confirms=False)
        return answer(self._agent.retire())

    async def _state(self, request: web.Request) -> web.Response:
        confirms = request.query.get("confirm", "true")
        if confirms not in ("true", "false"):
            raise Refusal(400, "BadRequest", f"confirm is true or false, not {confirms!r}")
        self._agent.authorize_control(bearer_token(request), confirms=confirms == "true")
        return answer(self._agent.state())

    async def _spec(self, request: web.Request) -> web.Response:
        self._agent.authorize_control(bearer_token(request))
        await self._agent.live.update(
            await read_value(request, SpecUpdate, timeout_s=self._timeout_s)
        )
        return answer(self._agent.state())

    async def _media_path(self, request: web.Request) -> web.Response:
        # No confirmation: a router that forwards a client need not know of a session.
        self._agent.authorize_control(bearer_token(request), confirms=False)
        path = await read_value(request, MediaPath, timeout_s=self._timeout_s)
        try:
            address = str(ipaddress.ip_address(path.address))
        except ValueError as error:
            raise Refusal(400, "BadRequest", f"{path.address!r} is no IP address") from error
        await self._agent.move_media(msgspec.structs.replace(path, address=address))
        return web.json_response({})

    async def _drain(self, request: web.Request) -> web.Response:
        self._agent.authorize_control(bearer_token(request))
        order = await read_value(request, DrainRequest, timeout_s=self._timeout_s)
        failure = Failure(reason=order.reason[:100], message=order.message[:2000])
        self._group.create_task(self._agent.drain(failure), name="drain")
        return web.Response(status=202)

    async def _results(self, request: web.Request) -> web.Response:
        self._agent.authorize_control(bearer_token(request))
        items = [
            ArtefactItem(name=item.name, size=item.size, sha256=item.sha256)
            for item in self._agent.artefacts()
            if item.is_finished
        ]
        return answer(ResultsBody(items=items, results=self._agent.state().results))

    async def _artefact(self, request: web.Request) -> web.StreamResponse:
        self._agent.authorize_control(bearer_token(request))
        name = request.match_info["name"]
        found = next((item for item in self._agent.artefacts() if item.name == name), None)
        # Only files that a workload has named can be read: the name is never used as a path.
        found = None if found is None else found.current()
        if found is None:
            raise Refusal(404, "NoSuchArtefact", f"GET /results lists what there is, not {name!r}")
        part = requested_part(request, size=found.size, sha256=found.sha256)
        checked = {names.SHA256_HEADER: found.sha256} if found.is_finished else {}
        response = web.StreamResponse(headers=checked)
        if part is not None:
            response.set_status(206)
            response.headers["Content-Range"] = f"bytes {part[0]}-{part[-1]}/{found.size}"
        response.content_type = "application/octet-stream"
        part = range(found.size) if part is None else part
        response.content_length = len(part)
        try:
            async with asyncio.timeout(ARTEFACT_TIMEOUT_S):
                await response.prepare(request)
                await _copy(found.path, response, part=part)
        except (TimeoutError, OSError) as error:
            logger.warning("artefact %s not sent: %s", name, type(error).__name__)
            if request.transport is not None:
                request.transport.abort()
        return response


async def _copy(path: Path, response: web.StreamResponse, *, part: range) -> None:
    """Write exactly these bytes of a file; reading leaves the loop free."""
    size = len(part)
    with await asyncio.to_thread(path.open, "rb") as file:
        file.seek(part.start)
        while size > 0:
            chunk = await asyncio.to_thread(file.read, min(size, _CHUNK_BYTES))
            if not chunk:
                raise OSError("the file has become shorter")
            await response.write(chunk)
            size -= len(chunk)
