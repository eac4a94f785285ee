"""The dashboard on a real cluster, driven by headless Chromium as a person would."""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from e2e import kube
from e2e.devtools import Browser, browsing
from e2e.sessions import Session, circle, session
from podstream_dev import clients

PICTURES = os.environ.get("PODSTREAM_PICTURES", "")
"""Folder in which pictures of the pages are kept, for the docs."""
_BRIGHT = """(() => {
  const video = document.querySelector('video');
  if (!video?.videoWidth) return null;
  const canvas = document.createElement('canvas');
  canvas.width = video.videoWidth; canvas.height = video.videoHeight;
  const context = canvas.getContext('2d');
  context.drawImage(video, 0, 0);
  const {data} = context.getImageData(0, 0, canvas.width, canvas.height);
  let n = 0, x = 0;
  for (let i = 0; i < data.length; i += 4) {
    if (Math.max(data[i], data[i + 1], data[i + 2]) > 70) { n += 1; x += (i >> 2) % canvas.width; }
  }
  return n ? x / n : null;
})()"""
"""Where the ball is in the picture that is shown, pixels from the left."""


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    program = await asyncio.to_thread(clients.chromium)
    async with browsing(program) as found:
        yield found


@pytest.fixture(scope="module")
def account() -> Iterator[str]:
    """Token of a service account that may edit the namespace."""
    name = f"dash-{secrets.token_hex(3)}"
    kube.kubectl("create", "serviceaccount", name)
    try:
        kube.kubectl(
            "create", "rolebinding", name, "--clusterrole=edit",
            f"--serviceaccount={kube.NAMESPACE}:{name}",
        )  # fmt: skip
        yield kube.kubectl("create", "token", name, "--duration=1h").strip()
    finally:
        kube.delete("rolebinding", name)
        kube.delete("serviceaccount", name)


def base_of(made: Session) -> str:
    return made.endpoint().partition("/s/")[0]


async def log_in(browser: Browser, token: str) -> None:
    await browser.type("#token", token)
    await browser.press("Log in")


async def keep(browser: Browser, name: str) -> None:
    if PICTURES:
        await browser.picture(Path(PICTURES) / f"{name}.png")


async def no_violation(browser: Browser) -> None:
    """axe-core finds nothing in light and in dark; without npm there is no axe-core."""
    script = await asyncio.to_thread(clients.axe)
    if script is None:
        return
    source = await asyncio.to_thread(script.read_text)
    for scheme in ("dark", "light"):
        await browser.colours(scheme)
        assert await browser.axe(source) == []


async def test_a_token_shows_its_session_live_and_ends_it(browser: Browser) -> None:
    with session({"circle": circle(frames=0), "lingerSeconds": 0}, prefix="dash") as made:
        await asyncio.to_thread(made.wait_phase, "Ready")
        await browser.go(f"{base_of(made)}/")
        await browser.type("#token", "wrong")
        await browser.press("Log in")
        await browser.text("neither a session's token")
        await no_violation(browser)
        await keep(browser, "login")
        token = await asyncio.to_thread(made.token)
        await log_in(browser, token)
        await browser.text(f"{kube.NAMESPACE}/{made.name}")
        await browser.press("Watch")
        first = await browser.until(_BRIGHT)
        await browser.until(f"Math.abs({_BRIGHT} - {first}) > 5")
        await browser.text("Connected")
        assert await asyncio.to_thread(made.wait_phase, "Connected")
        await browser.until("/framesSent\\t[1-9]/.test(document.body.innerText)")
        await no_violation(browser)
        await keep(browser, "session")
        assert token not in await browser.run("location.href + document.documentElement.outerHTML")
        await browser.press("End session …")
        await browser.press("End it now")
        await browser.text("The session has ended.")
        await asyncio.to_thread(made.wait_phase, "Completed")
    refused = [text for text in browser.complaints if "401" not in text]
    assert refused == [], "the policy of the page refuses nothing that it does"


async def test_a_person_creates_a_session_and_sees_its_result(
    browser: Browser, account: str
) -> None:
    name = f"dash-{secrets.token_hex(3)}"
    with session({"circle": circle(frames=0)}, prefix="dash") as other:
        await asyncio.to_thread(other.wait_phase, "Ready")
        try:
            await browser.go(f"{base_of(other)}/ui/")
            await log_in(browser, account)
            await browser.text(f"{kube.NAMESPACE}/{other.name}")
            await browser.run("location.hash = '#/new'")
            await browser.type("#name", name)
            await browser.type("#spec", '{"circle": {"fps": 1000}}')
            await browser.press("Create")
            await browser.text("spec.circle.fps")
            await browser.text("120")
            await no_violation(browser)
            await browser.type(
                "#spec",
                '{"circle": {"width": 320, "height": 240, "frames": 60},'
                ' "client": {"builtIn": true}, "lingerSeconds": 0}',
            )
            await keep(browser, "new")
            await browser.press("Create")
            await browser.text("Completed", timeout_s=90)
            await browser.until("/rmsePx\\t0?[.0-9]+/.test(document.body.innerText)")
            await keep(browser, "result")
            await browser.run("location.hash = '#/'")
            await browser.until(
                "[...document.querySelectorAll('tr')].some((row) =>"
                f" row.innerText.includes('{name}')"
                " && row.innerText.includes('Completed'))"
            )
            await no_violation(browser)
            await keep(browser, "sessions")
        finally:
            kube.delete("strs", name)


async def test_the_page_publishes_a_camera(browser: Browser) -> None:
    """Chromium's own test picture: a green page with a turning disc."""
    spec = {"circle": {"source": "Upload", "frames": 0}, "lingerSeconds": 0, "reconnectSeconds": 0}
    with session(spec, prefix="dash") as made:
        await asyncio.to_thread(made.wait_phase, "Ready")
        base = made.endpoint("WHIP").partition("/s/")[0]
        await browser.go(f"{base}/ui/")
        await log_in(browser, await asyncio.to_thread(made.token))
        await browser.press("Publish camera")
        await browser.until("document.querySelector('video').videoWidth > 0")
        await browser.until("/framesSent\\t[1-9]/.test(document.body.innerText)")
        await browser.press("Stop publishing")
        await asyncio.to_thread(made.wait_phase, "Completed", "Failed")
