"""Drives headless Chromium by the Chrome DevTools Protocol: scripts, clicks, keys, pictures.

Scripts run beside the page's own, past its Content-Security-Policy, so the page under test needs no
hook. What the page logs or violates is kept and can be asserted on.
"""

import asyncio
import base64
import itertools
import json
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-features=WebRtcHideLocalIpsWithMdns,LocalNetworkAccessChecks",
    "--no-first-run",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--remote-debugging-port=0",
    "--window-size=1280,1600",
)
_START_S = 60.0


class ScriptError(Exception):
    """A script threw, or what it waited for did not come."""


class Browser:
    """One page of a headless Chromium."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._ids = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._session: str | None = None
        self.complaints: list[str] = []
        """Errors on the console and in scripts, violations of the policy among them."""

    async def listen(self) -> None:
        """Take in answers and events until the browser goes."""
        async for message in self._socket:
            body = json.loads(message.data)
            if "id" in body:
                waiting = self._answers.pop(body["id"], None)
                if waiting is not None and not waiting.done():
                    waiting.set_result(body)
            elif body["method"] == "Log.entryAdded":
                entry = body["params"]["entry"]
                if entry["level"] == "error":
                    self.complaints.append(f"{entry['text']} {entry.get('url', '')}")
            elif body["method"] == "Runtime.exceptionThrown":
                self.complaints.append(json.dumps(body["params"]["exceptionDetails"])[:500])

    async def attach(self) -> None:
        """Open a page."""
        target = await self.call("Target.createTarget", url="about:blank")
        attached = await self.call(
            "Target.attachToTarget", targetId=target["targetId"], flatten=True
        )
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            await self.call(f"{domain}.enable")

    async def keep_downloads(self, folder: Path) -> None:
        """Write what the page downloads into a folder."""
        await self.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(folder))

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """One command of the protocol."""
        number = next(self._ids)
        waiting: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[number] = waiting
        body: dict[str, Any] = {"id": number, "method": method, "params": params}
        if self._session is not None:
            body["sessionId"] = self._session
        await self._socket.send_json(body)
        answer = await asyncio.wait_for(waiting, 60)
        if "error" in answer:
            raise ScriptError(f"{method}: {answer['error']}")
        result: dict[str, Any] = answer["result"]
        return result

    async def go(self, url: str) -> None:
        """Load a page."""
        await self.call("Page.navigate", url=url)

    async def run(self, script: str) -> Any:
        """Value of an expression; promises are awaited."""
        answer = await self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in answer:
            raise ScriptError(json.dumps(answer["exceptionDetails"])[:1000])
        return answer["result"].get("value")

    async def until(self, script: str, *, timeout_s: float = 30.0) -> Any:
        """Repeat an expression until it is true; its value.

        Raises:
            ScriptError: the time is over; says what the page shows.
        """
        deadline = asyncio.get_running_loop().time() + timeout_s
        while asyncio.get_running_loop().time() < deadline:
            found = await self.run(script)
            if found:
                return found
            await asyncio.sleep(0.1)
        shown = await self.run("document.body?.innerText")
        raise ScriptError(f"gave up waiting for {script}; the page shows: {shown}")

    async def text(self, expected: str, *, timeout_s: float = 30.0) -> None:
        """Wait until the page shows a text."""
        quoted = json.dumps(expected)
        await self.until(f"document.body?.innerText.includes({quoted})", timeout_s=timeout_s)

    async def press(self, button: str) -> None:
        """Press the visible button that is labelled so, once it can be pressed."""
        quoted = json.dumps(button)
        await self.until(
            "(() => { const found = [...document.querySelectorAll('button')].find((item) => "
            f"item.textContent === {quoted} && !item.disabled && item.checkVisibility()); "
            "found?.click(); return found !== undefined; })()"
        )

    async def type(self, selector: str, text: str) -> None:
        """Put text into a field with the keyboard."""
        quoted = json.dumps(selector)
        await self.until(f"document.querySelector({quoted}) !== null")
        await self.run(
            f"(() => {{ const f = document.querySelector({quoted}); f.value = ''; f.focus(); }})()"
        )
        await self.call("Input.insertText", text=text)

    async def key(self, key: str, code: int) -> None:
        """Press one key."""
        for kind in ("rawKeyDown", "keyUp"):
            await self.call(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code
            )

    async def colours(self, scheme: str) -> None:
        """What the system prefers: `light` or `dark`."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        await self.call("Emulation.setEmulatedMedia", features=[feature])

    async def picture(self, path: Path) -> None:
        """Keep a picture of the whole page."""
        shot = await self.call("Page.captureScreenshot", captureBeyondViewport=True)
        await asyncio.to_thread(_write, path, base64.b64decode(shot["data"]))

    async def axe(self, source: str) -> list[str]:
        """Violations that axe-core finds on the page as it is."""
        await self.run(f"{source}; undefined")
        found = await self.run(
            "axe.run(document, {resultTypes: ['violations']}).then(({violations}) => "
            "violations.map(({id, help, nodes}) => "
            "`${id}: ${help}: ${nodes.map((node) => node.html).join(' ')}`))"
        )
        assert isinstance(found, list)
        return found


@asynccontextmanager
async def browsing(program: Path, *, origin: str) -> AsyncIterator[Browser]:
    """A headless Chromium with one page; ended on leaving.

    Args:
        program: Chromium.
        origin: whose pages get what browsers keep for https (cameras, isolation).
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        process = await asyncio.create_subprocess_exec(
            str(program),
            *_FLAGS,
            f"--unsafely-treat-insecure-origin-as-secure={origin}",
            f"--user-data-dir={folder}",
            "about:blank",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            address = await _address(Path(folder) / "DevToolsActivePort", process)
            async with (
                aiohttp.ClientSession() as http,
                http.ws_connect(address, max_msg_size=0, heartbeat=None) as socket,
            ):
                browser = Browser(socket)
                listening = asyncio.create_task(browser.listen())
                try:
                    await browser.attach()
                    yield browser
                finally:
                    listening.cancel()
        finally:
            if process.returncode is None:
                process.terminate()
            await asyncio.wait_for(process.wait(), 20)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _read(path: Path) -> list[str]:
    return path.read_text().split("\n") if path.exists() else []


async def _address(file: Path, process: asyncio.subprocess.Process) -> str:
    """Where the browser listens: it writes that into its profile."""
    deadline = asyncio.get_running_loop().time() + _START_S
    while asyncio.get_running_loop().time() < deadline:
        if len(lines := await asyncio.to_thread(_read, file)) > 1:
            return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
        assert process.returncode is None, "chromium ended"
        await asyncio.sleep(0.1)
    raise AssertionError("chromium does not start")
