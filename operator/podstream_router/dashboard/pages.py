"""The page's files: read once at the start, served under `/ui/` with a strict policy.

Nothing on the page is inline and nothing comes from elsewhere, so the Content-Security-Policy
(level 3) needs neither `unsafe-inline` nor a nonce.
"""

import hashlib
from dataclasses import dataclass
from importlib import resources
from typing import Final

from aiohttp import web

_TYPES: Final = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
INDEX: Final = "index.html"
_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "media-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    # Asked for each time, answered by 304: a page and its modules are always of one version.
    "Cache-Control": "no-cache",
}


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    content_type: str
    etag: str


def _load() -> dict[str, _File]:
    files: dict[str, _File] = {}
    for item in resources.files("podstream_router.dashboard").joinpath("static").iterdir():
        suffix = item.name[item.name.rfind(".") :]
        if item.is_file() and suffix in _TYPES:
            content = item.read_bytes()
            etag = hashlib.sha256(content).hexdigest()[:32]
            files[item.name] = _File(content, _TYPES[suffix], etag)
    return files


class Pages:
    """Handlers of the page's files."""

    def __init__(self) -> None:
        self._files = _load()

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        app.router.add_get("/ui", self._to_index)
        app.router.add_get("/ui/", self._index)
        app.router.add_get("/ui/{file}", self._file)

    async def _to_index(self, _request: web.Request) -> web.Response:
        return web.Response(status=308, headers={"Location": "/ui/"})

    async def _index(self, request: web.Request) -> web.Response:
        return _answer(request, self._files[INDEX])

    async def _file(self, request: web.Request) -> web.Response:
        # A name is looked up, never used as a path.
        found = self._files.get(request.match_info["file"])
        if found is None:
            raise web.HTTPNotFound
        return _answer(request, found)


def _answer(request: web.Request, file: _File) -> web.Response:
    headers = {**HEADERS, "ETag": f'"{file.etag}"'}
    if any(known.value == file.etag for known in request.if_none_match or ()):
        return web.Response(status=304, headers=headers)
    return web.Response(
        body=file.content, content_type=file.content_type, charset="utf-8", headers=headers
    )
