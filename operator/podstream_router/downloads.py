"""`GET /s/{namespace}/{session}/results/{file}`: a file that a session has finished.

Recordings, tables and plots lie on the pod's disk; they can be had until the pod has gone, which
is `lingerSeconds` after the session has completed. Players that seek ask for parts (RFC 9110,
section 14).
"""

import logging
import mimetypes
from dataclasses import replace
from typing import Final

from aiohttp import web

from podstream_core import names
from podstream_router.admission import Places
from podstream_router.agent import AgentClient
from podstream_router.agent.artefacts import Artefact
from podstream_router.errors import Overloaded, PodFailed, SessionEnded, TryAgain
from podstream_router.http import TOKEN_QUERY, client_address, preflight
from podstream_router.logfields import about
from podstream_router.passes import Passes
from podstream_router.playlists import with_token
from podstream_router.results import TargetReader
from podstream_router.routes import RouteTable

logger = logging.getLogger(__name__)

_PATH: Final = "/s/{namespace}/{session}/results/{file:[A-Za-z0-9][A-Za-z0-9._-]{0,199}}"
_PLAYLIST_TYPE: Final = "application/vnd.apple.mpegurl"
_MOST_PLAYLIST_BYTES: Final = 1 << 20
"""Four times an hour of them. It is held in memory, with which no pod is trusted."""
_TYPES: Final = {
    ".avi": "video/x-msvideo",
    ".m3u8": _PLAYLIST_TYPE,
    ".m4s": "video/mp4",
    ".mp4": "video/mp4",
}
_RANGES: Final = ("Range", "If-Range")
_DEFAULT_TYPE: Final = "application/octet-stream"
_SAFE_TYPES: Final = (
    "video/",
    "image/png",
    "image/jpeg",
    "text/csv",
    "application/json",
    _PLAYLIST_TYPE,
)
"""Kinds that a browser shows without running anything."""


class DownloadHandler:
    """Handler of the files' paths."""

    def __init__(
        self,
        *,
        routes: RouteTable,
        agent: AgentClient,
        target: TargetReader,
        passes: Passes,
        places: Places,
    ) -> None:
        """Prepare the handler.

        Args:
            routes: what there is.
            agent: asks pods.
            target: reads what a request names, and the token that it shows.
            passes: of browsers that cannot show one.
            places: downloads that may run at once.
        """
        self._routes = routes
        self._agent = agent
        self._target = target
        self._passes = passes
        self._places = places

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        app.router.add_get(_PATH, self.read, allow_head=False)
        app.router.add_options(_PATH, preflight)

    async def read(self, request: web.Request) -> web.StreamResponse:
        """Answer with the file."""
        target = await self._target(request)
        if target.credential is None:
            target = replace(target, credential=self._passes.read(request))
        session = target.find()
        pod = self._routes.pod_for(session)
        if pod is None:
            raise SessionEnded("the session has no pod (any more), and files go with their pod")
        name = request.match_info["file"]
        # The pod knows the file's size and version, so it decides what becomes of a range.
        wanted = {key: request.headers[key] for key in _RANGES if key in request.headers}
        if content_type(name) == _PLAYLIST_TYPE:
            wanted = {}  # it is small, and changes on its way
        with self._places.place(client_address(request)):
            response: web.StreamResponse | None = None
            try:
                async with self._agent.open_artefact(pod, name=name, wanted=wanted) as artefact:
                    if content_type(name) == _PLAYLIST_TYPE:
                        return await _playlist(request, artefact)
                    response = web.StreamResponse(headers=_headers(name, sha256=artefact.sha256))
                    if artefact.part:
                        response.set_status(206)
                        response.headers["Content-Range"] = artefact.part
                    response.content_type = content_type(name)
                    response.content_length = artefact.size
                    await response.prepare(request)
                    async for chunk in artefact.chunks:
                        await response.write(chunk)
            except TryAgain as error:
                if response is None or not response.prepared:
                    raise Overloaded(f"{error}: try again") from error
                fields = about(session.key, pod=pod)
                logger.info("download broke off", extra={**fields, "cause": str(error)})
                if request.transport is not None:
                    request.transport.abort()  # else the client takes a part for the whole
            except OSError as error:
                if response is None or not response.prepared:
                    raise
                fields = about(session.key, pod=pod)
                logger.info("the client left", extra={**fields, "cause": str(error)})
        return response


async def _playlist(request: web.Request, artefact: Artefact) -> web.Response:
    """A playlist whose URIs carry the token that its own URL has.

    A player asks for them by its own rules, and few let headers be set.
    """
    if artefact.size > _MOST_PLAYLIST_BYTES:
        raise PodFailed("the session's pod sends a playlist that is too long")
    text = b"".join([chunk async for chunk in artefact.chunks]).decode()
    token = request.query.get(TOKEN_QUERY)
    response = web.Response(text=text if token is None else with_token(text, token))
    response.content_type = _PLAYLIST_TYPE
    response.headers["Cache-Control"] = "private, no-cache"
    return response


def content_type(name: str) -> str:
    """The media type of a file, by its name; nothing that a browser would run."""
    suffix = name[name.rfind(".") :].lower()
    found = _TYPES.get(suffix) or mimetypes.guess_type(name)[0] or _DEFAULT_TYPE
    return found if found.startswith(_SAFE_TYPES) else _DEFAULT_TYPE


def _headers(name: str, *, sha256: str) -> dict[str, str]:
    headers = {
        "Content-Disposition": f'attachment; filename="{name.partition("-")[2] or name}"',
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private",
        "Accept-Ranges": "bytes",
    }
    if sha256:
        headers["ETag"] = f'"{sha256}"'
        headers[names.SHA256_HEADER] = sha256
    return headers
