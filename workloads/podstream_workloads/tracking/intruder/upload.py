"""The page that sends a picture as a camera would and shows how long answers take.

The texts of `POST /upload` are those of the web page of the existing system. Nothing is loaded
from elsewhere: the plots are drawn here, and the policy of the page allows no other source.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from aiohttp import web

from podstream_workloads.tracking.intruder.boxplot import box_plots
from podstream_workloads.tracking.intruder.forms import FormRefused, read_form
from podstream_workloads.tracking.intruder.latency import spread

logger = logging.getLogger(__name__)

_FORM_BYTES: Final = 64 * 1024
"""Beside the picture."""
_PAGE: Final = Path(__file__).parent / "page"
_TYPES: Final = {"upload.css": "text/css", "upload.js": "text/javascript"}
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of an uploaded picture."""

    done: bool
    detail: str = ""


Send = Callable[[str, bytes], Awaitable[Sent]]
"""Takes a frame name and a picture file; answers once it is worked off."""
Durations = Callable[[], Sequence[float]]
"""The last durations, milliseconds."""


class UploadPage:
    """`GET /upload`, `POST /upload` and `GET /latency.svg`."""

    def __init__(self, send: Send, *, plots: Mapping[str, Durations], max_bytes: int) -> None:
        self._send = send
        self._plots = dict(plots)
        self._max_bytes = max_bytes

    def add_to(self, app: web.Application) -> None:
        """Add the routes; the page is also what `/` shows."""
        app.router.add_get("/", self._page)
        app.router.add_get("/upload", self._page)
        app.router.add_post("/upload", self._upload)
        app.router.add_get("/latency.svg", self._latency)
        for name in _TYPES:
            app.router.add_get(f"/{name}", self._asset)

    async def _page(self, _: web.Request) -> web.Response:
        text = await asyncio.to_thread((_PAGE / "upload.html").read_text, "utf-8")
        return web.Response(text=text, content_type="text/html", headers=_HEADERS)

    async def _asset(self, request: web.Request) -> web.Response:
        name = request.path.rpartition("/")[2]
        text = await asyncio.to_thread((_PAGE / name).read_text, "utf-8")
        return web.Response(text=text, content_type=_TYPES[name], headers=_HEADERS)

    async def _latency(self, _: web.Request) -> web.Response:
        drawn = box_plots({name: spread(values()) for name, values in self._plots.items()})
        return web.Response(text=drawn, content_type="image/svg+xml", headers=_HEADERS)

    async def _upload(self, request: web.Request) -> web.Response:
        try:
            form = await read_form(
                request, picture="image", max_bytes=self._max_bytes + _FORM_BYTES
            )
        except FormRefused as refused:
            return _say(refused.status, f"No image: {refused}")
        if form.picture is None:
            return _say(400, "No image provided")
        if not form.filename or not form.picture:
            return _say(400, "No image selected")
        name = f"demo_{datetime.now().astimezone().strftime('%Y%m%d%H%M%S%f')}.jpg"
        try:
            sent = await self._send(name, form.picture)
        except Exception:
            logger.exception("An uploaded picture could not be sent")
            return _say(500, "Failed to send image")
        if not sent.done:
            return _say(500, f"Failed to send image: {sent.detail}")
        return _say(200, f"Successfully sent image: {name}")


def _say(status: int, message: str) -> web.Response:
    return web.json_response({"message": message}, status=status, headers=_HEADERS)
