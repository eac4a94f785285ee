"""The page's files: there, whole, and under a policy that lets nothing else run."""

import re
from importlib import resources

import aiohttp
import pytest

from router.harness import Harness

STATIC = resources.files("podstream_router.dashboard").joinpath("static")
FILES = sorted(item.name for item in STATIC.iterdir())


@pytest.mark.parametrize("name", ["", *FILES])
async def test_files_are_served_with_the_policy(
    router: Harness, http: aiohttp.ClientSession, name: str
) -> None:
    async with http.get(router.url(f"/ui/{name}")) as response:
        assert response.status == 200
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "no-referrer"
        etag = response.headers["ETag"]
        assert await response.read() == STATIC.joinpath(name or "index.html").read_bytes()
    known = {"If-None-Match": etag}
    async with http.get(router.url(f"/ui/{name}"), headers=known) as response:
        assert response.status == 304


async def test_a_browser_is_taken_to_the_page_and_others_to_the_text(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    html = {"Accept": "text/html,application/xhtml+xml"}
    async with http.get(router.url("/"), headers=html, allow_redirects=False) as response:
        assert (response.status, response.headers["Location"]) == (302, "/ui/")
    async with http.get(router.url("/")) as response:
        assert (await response.text()).startswith("podstream router")
    async with http.get(router.url("/ui"), allow_redirects=False) as response:
        assert response.headers["Location"] == "/ui/"


@pytest.mark.parametrize("path", ["/ui/no.js", "/ui/..%2fboard.py", "/ui/%2e%2e/board.py"])
async def test_nothing_else_is_served(
    router: Harness, http: aiohttp.ClientSession, path: str
) -> None:
    async with http.get(router.url(path)) as response:
        assert response.status == 404


def test_nothing_is_inline_and_every_module_that_is_named_is_there() -> None:
    page = STATIC.joinpath("index.html").read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=", page)
    for name in FILES:
        if not name.endswith(".js"):
            continue
        text = STATIC.joinpath(name).read_text()
        for other in re.findall(r'from "\./([^"]+)"', text):
            assert other in FILES, f"{name} imports {other}"
        for sink in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
            assert sink not in text, f"{name} uses {sink}"
