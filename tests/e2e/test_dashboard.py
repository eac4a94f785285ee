"""The dashboard on a real cluster, driven by headless Chromium as a person would."""

import asyncio
import hashlib
import json
import os
import secrets
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from e2e import kube
from e2e.devtools import Browser, browsing
from e2e.sessions import Session, circle, session
from podstream_dev import clients

pytestmark = pytest.mark.long  # drives a browser for most of a minute: make test-long

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
_FIGURE = "(document.body.innerText.match(/{}\\t(\\S+)/) ?? [])"
"""A figure of the results' table, as its text."""


@pytest.fixture(scope="module")
def origin() -> str:
    """Of the router's pages."""
    with session({"circle": circle(frames=0)}, prefix="dash") as made:
        made.wait_phase("Ready")
        return base_of(made)


@pytest.fixture
async def browser(origin: str) -> AsyncIterator[Browser]:
    program = await asyncio.to_thread(clients.chromium)
    async with browsing(program, origin=origin) as found:
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


def faults_of(browser: Browser) -> list[str]:
    """Exceptions, and what the page's own policy has refused; not the answers of the API."""
    return [text for text in browser.complaints if "Failed to load resource" not in text]


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
    assert faults_of(browser) == []


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


async def test_a_person_watches_and_records_a_stream(
    browser: Browser, account: str, tmp_path: Path
) -> None:
    """The stream's own member is switched, and the film can be downloaded as it was recorded."""
    spec = {
        "stream": {"recording": {"enabled": False, "codec": "H264"}},
        "access": {"mode": "Public"},
        "listeners": ["frames"],
        "lingerSeconds": 60,
    }
    with session(spec, prefix="dash") as made:
        await asyncio.to_thread(made.wait_phase, "Ready")
        host, _, port = made.endpoint("TCP").removeprefix("tcp://").rpartition(":")
        push = [sys.executable, "-m", "podstream_workloads.stream.cli", "push", "--pattern"]
        publisher = await asyncio.create_subprocess_exec(
            *push, "--host", host, "--port", port, "--fps", "15", "--quiet"
        )
        try:
            await browser.keep_downloads(tmp_path)
            await browser.go(f"{made.endpoint('MJPEG').partition('/s/')[0]}/ui/")
            await log_in(browser, account)
            await browser.text(made.name)
            await browser.run(f"location.hash = '#/sessions/{kube.NAMESPACE}/{made.name}'")
            await browser.press("Watch")
            canvas = "document.querySelector('canvas').toDataURL()"
            await browser.until("document.querySelector('canvas').width === 640")
            first = json.dumps(await browser.run(canvas))
            await browser.until(f"{canvas} !== {first}")
            await browser.press("Start recording")
            await browser.until(f"{_FIGURE.format('recording.active')}[1] === 'true'")
            await keep(browser, "stream")
            await asyncio.sleep(1)  # of film
            await browser.press("Stop recording")
            await browser.text(".mp4")
            await no_violation(browser)
            await browser.press("Stop watching")
            await browser.run(
                "[...document.querySelectorAll('td button')]"
                ".find((item) => item.textContent.endsWith('.mp4')).click()"
            )
            film = await asyncio.to_thread(
                kube.until, lambda: list(tmp_path.glob("*.mp4")), what="the film"
            )
            found = made.status["results"]["stream"]["recordings"][0]
            digest = hashlib.sha256(film[0].read_bytes()).hexdigest()
            assert digest == found["sha256"]
            assert found["frames"] >= 10
            await browser.press("Play")
            await browser.until(
                "[...document.querySelectorAll('video')].some((item) => item.duration > 0.5)"
            )
        finally:
            publisher.terminate()
            await publisher.wait()
    assert faults_of(browser) == []


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
        await browser.until("/framesReceived\\t[1-9]/.test(document.body.innerText)")
        await browser.press("Stop publishing")
        await asyncio.to_thread(made.wait_phase, "Completed", "Failed")
