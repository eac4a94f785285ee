"""The dashboard on a real cluster, driven by headless Chromium as a person would."""

import asyncio
import hashlib
import json
import math
import os
import secrets
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from e2e import kube
from e2e.devtools import Browser, browsing
from e2e.http import post_offer
from e2e.sessions import Session, circle, session
from podstream_dev import clients

PICTURES = os.environ.get("PODSTREAM_PICTURES", "")
"""Folder in which pictures of the pages are kept, for the docs."""
_BRIGHT = """(() => {
  const video = document.querySelector('#live');
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
_MARKS = """(() => {
  const marks = document.querySelector('#live').parentElement.querySelector('canvas');
  const [x, y, radius] = (marks.dataset.seen ?? '').split(' ').map(Number);
  const [trueX, trueY] = (marks.dataset.truth ?? '').split(' ').map(Number);
  if (!radius || !Number.isFinite(trueY)) return null;
  const pen = marks.getContext('2d');
  const inside = (value, size) => Math.min(Math.max(Math.round(value), 0), size - 1);
  const at = (x, y) =>
    [...pen.getImageData(inside(x, marks.width), inside(y, marks.height), 1, 1).data];
  return {x, y, radius, trueX, trueY, width: marks.width, drawn: {
    seen: at(x, y), right: at(x + radius, y), left: at(x - radius, y),
    truth: at(trueX + 5, trueY), inside: at(x + radius / 2, y + radius / 2)}};
})()"""
"""Where the marks over the video say that the ball is, and the pixels there (RGBA)."""
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


def is_red(pixel: list[int]) -> bool:
    red, green, blue, alpha = pixel
    return alpha > 100 and red > 200 and max(green, blue) < 190


def is_blue(pixel: list[int]) -> bool:
    red, _, blue, alpha = pixel
    return alpha > 100 and blue > 200 and red < 190


async def test_a_token_shows_its_session_live_and_ends_it(browser: Browser) -> None:
    """The page is the session's client: it finds the ball, is scored, and draws over the video."""
    ball = circle(frames=0, tellTruth=True, ball={"radius": 30, "color": "#00ff00"})
    with session({"circle": ball, "lingerSeconds": 0}, prefix="dash") as made:
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
        marks = await browser.until(_MARKS)
        assert math.dist((marks["x"], marks["y"]), (marks["trueX"], marks["trueY"])) < 2
        assert abs(marks["radius"] - 30) < 2
        assert marks["width"] == 320
        drawn = marks["drawn"]
        assert is_red(drawn["seen"]) or is_blue(drawn["seen"]), "both lie there, almost"
        assert is_red(drawn["left"]), drawn
        assert is_red(drawn["right"]), drawn
        assert is_blue(drawn["truth"]), drawn
        red, green, blue, _ = drawn["inside"]
        assert green > 150, drawn
        assert max(red, blue) < 120, "ring and ball are of one frame"
        await browser.text("true centre (blue cross)")
        await browser.text("Connected")
        assert await asyncio.to_thread(made.wait_phase, "Connected")
        await browser.until(f"Number({_FIGURE.format('framesScored')}[1]) > 9")
        await browser.until(f"Number({_FIGURE.format('rmsePx')}[1]) < 1")
        await no_violation(browser)
        await keep(browser, "session")
        assert token not in await browser.run("location.href + document.documentElement.outerHTML")
        await browser.press("End session …")
        await browser.press("End it now")
        await browser.text("The session has ended.")
        await asyncio.to_thread(made.wait_phase, "Completed")
    assert faults_of(browser) == []


@pytest.mark.long
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
            live = "document.querySelector('#live')"
            await browser.until(f"{live}.videoWidth === 640")
            begun = await browser.run(f"{live}.currentTime")
            await browser.until(f"{live}.currentTime > {begun}")
            await browser.text("By WebRTC (WHEP).")
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
            film_shown = "document.querySelector('video[controls]')"
            await browser.until(f"{film_shown}?.duration > 0.5")
            # It comes from the router part by part, by a cookie that scripts cannot read.
            assert await browser.run(f"new URL({film_shown}.src).protocol") == "http:"
            assert await browser.run("document.cookie") == ""
            assert "token=" not in await browser.run(f"{film_shown}.src")
            await browser.run(f"{film_shown}.currentTime = {film_shown}.duration / 2")
            await browser.until(f"{film_shown}.readyState >= 2 && !{film_shown}.seeking")
            await keep(browser, "recording")
            # Where WebRTC does not come through, single pictures do.
            await browser.run("window.RTCPeerConnection = undefined")
            await browser.press("Watch")
            await browser.text("Single pictures (MJPEG)")
            canvas = "document.querySelector('canvas[aria-label^=\"Live pictures\"]')"
            await browser.until(f"{canvas}.width === 640")
            first = json.dumps(await browser.run(f"{canvas}.toDataURL()"))
            await browser.until(f"{canvas}.toDataURL() !== {first}")
        finally:
            publisher.terminate()
            await publisher.wait()
    assert faults_of(browser) == []


@pytest.mark.long
async def test_the_page_publishes_a_webcam_to_a_session_that_looks_for_a_ball(
    browser: Browser,
) -> None:
    """Chromium's own test picture: a green page with a turning disc."""
    spec = {"circle": {"source": "Upload", "frames": 0}, "lingerSeconds": 0, "reconnectSeconds": 0}
    with session(spec, prefix="dash") as made:
        await asyncio.to_thread(made.wait_phase, "Ready")
        base = made.endpoint("WHIP").partition("/s/")[0]
        await browser.go(f"{base}/ui/")
        await log_in(browser, await asyncio.to_thread(made.token))
        await browser.press("Publish webcam")
        await browser.until("document.querySelector('#preview').videoWidth > 0")
        await browser.until("/framesReceived\\t[1-9]/.test(document.body.innerText)")
        await browser.press("Stop publishing")
        await asyncio.to_thread(made.wait_phase, "Completed", "Failed")


@pytest.mark.long
async def test_the_page_publishes_a_webcam_to_a_stream_and_says_why_it_cannot(
    browser: Browser,
) -> None:
    spec = {
        "stream": {"source": {"type": "WHIP"}, "maxViewers": 1},
        "reconnectSeconds": 20,
        "lingerSeconds": 0,
    }
    refuse = (
        "navigator.mediaDevices.getUserMedia = () =>"
        " Promise.reject(new DOMException('', '{name}')); true"
    )
    with session(spec, prefix="dash") as made:
        await asyncio.to_thread(made.wait_phase, "Ready")
        base = made.endpoint("WHIP").partition("/s/")[0]
        token = await asyncio.to_thread(made.token)
        await browser.go(f"{base}/ui/")
        await log_in(browser, token)
        await browser.until("document.querySelector('#preview') !== null")
        camera = "navigator.mediaDevices.getUserMedia"
        await browser.run(f"window.realCamera = {camera}.bind(navigator.mediaDevices); true")
        for name, words in (
            ("NotFoundError", "No camera was found"),
            ("NotAllowedError", "The camera was refused"),
        ):
            await browser.run(refuse.format(name=name))
            await browser.press("Publish webcam")
            await browser.text(words)
        await browser.run(f"{camera} = window.realCamera; true")
        await browser.press("Publish webcam")
        await browser.until("document.querySelector('#preview').videoWidth > 0")
        await browser.until(f"{_FIGURE.format('source.connected')}[1] === 'true'")
        await browser.press("Watch")
        live = "document.querySelector('#live')"
        await browser.until(f"{live}.videoWidth === 640")
        await browser.until(f"Number({_FIGURE.format('framesReceived')}[1]) > 10")
        await no_violation(browser)
        await keep(browser, "webcam")
        answer = await asyncio.to_thread(
            post_offer, made.endpoint("WHIP"), token="wrong", sdp="v=0\r\n"
        )
        assert answer.status == 401
        # The place is taken: another page is told so, and its camera is given back.
        async with browsing(await asyncio.to_thread(clients.chromium), origin=base) as other:
            await other.go(f"{base}/ui/")
            await log_in(other, token)
            await other.press("Publish webcam")
            await other.text("Busy: ")
            assert await other.run("document.querySelector('#preview').srcObject === null")
        await browser.press("Stop watching")
        await browser.press("Stop publishing")
        await browser.until(f"{_FIGURE.format('source.connected')}[1] === 'false'")
    assert faults_of(browser) == []
