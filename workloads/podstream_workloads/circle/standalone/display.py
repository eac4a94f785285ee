"""A window that a program shows pictures in; the window itself lives in a process of its own.

Why a process: see `standalone/window.py`. The event loop is never blocked: pictures are drawn on a
thread, the window takes the next one when it has shown the last, and what comes in meanwhile is
replaced by the newest and never drawn.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import cv2
import numpy as np

from podstream_workloads.circle.standalone.window import CLOSED_STATUS, HEADER, OPENED
from podstream_workloads.media.latest import LatestBox

logger = logging.getLogger(__name__)

OPEN_TIMEOUT_S: Final = 30.0
"""A window opens in a second; a cold disk or an X server far away may take longer."""
_END_TIMEOUT_S: Final = 5.0
_WINDOW_MODULE: Final = "podstream_workloads.circle.standalone.window"
_WORDS_BYTES: Final = 4096
_NOISE: Final = (
    "QFontDatabase: ",
    "Note that Qt no longer ships fonts",
    "This application failed to start because no Qt platform plugin",
)
"""OpenCV's Qt comes without fonts and says so on every start; nothing is written in the window. And
to reinstall the application, as Qt advises, helps against no missing display."""

Draw = Callable[[], np.ndarray]
"""Makes a BGR picture, uint8 of shape (height, width, 3); called on a thread."""


class NoDisplay(Exception):
    """No window can be opened; the message names the cause and what to do."""


class WindowGone(Exception):
    """The window was closed or its process ended; the message says which, and what to do."""


def require_display(environment: Mapping[str, str]) -> None:
    """Check what can be known before a window is opened.

    Raises:
        NoDisplay: OpenCV is a headless build, or there is no display to open a window on.
    """
    build = cv2.getBuildInformation()
    gui = next((line for line in build.splitlines() if line.strip().startswith("GUI:")), "")
    if gui.strip() in ("GUI:", "") or "NONE" in gui:
        raise NoDisplay(
            "-d needs an OpenCV with windows, and this one is headless. Replace it:\n"
            "  pip uninstall opencv-python-headless && pip install 'podstream[desktop]'"
        )
    displays = (environment.get("DISPLAY"), environment.get("WAYLAND_DISPLAY"))
    if sys.platform == "linux" and not any(displays):
        raise NoDisplay(
            "-d needs a display, and DISPLAY is not set. Start the program in a desktop session, "
            "over `ssh -X` or under `xvfb-run`; or leave -d out."
        )


class Window:
    """One window that shows the newest picture: `open`, then `run`; `close` at the end."""

    def __init__(self, title: str, *, command: Sequence[str] = ()) -> None:
        self._title = title
        self._command = command or (sys.executable, "-m", _WINDOW_MODULE, title)
        self._newest: LatestBox[Draw] = LatestBox()
        self._process: asyncio.subprocess.Process | None = None
        self._listening: asyncio.Task[None] | None = None
        self._words = b""
        self._shown = asyncio.Event()

    def show(self, draw: Draw) -> None:
        """Show a picture unless a newer one comes before the window is free; never waits."""
        self._newest.put(draw)

    async def open(self) -> None:
        """Open the window.

        Raises:
            NoDisplay: it does not open.
        """
        pipe = asyncio.subprocess.PIPE
        # A session of its own: Ctrl-C is for the program, which then closes the window.
        self._process = await asyncio.create_subprocess_exec(
            *self._command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
        )
        _, stdout, stderr = _pipes(self._process)
        self._listening = asyncio.create_task(self._listen(stderr), name=f"words:{self._title}")
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                line = await stdout.readline()
        except TimeoutError:
            end = f"nothing happened within {OPEN_TIMEOUT_S:g} s"
        else:
            if line == OPENED:
                logger.info("window %r is open", self._title)
                return
            end = await self._end()
        await self.close()
        where = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or ""
        raise NoDisplay(
            f"the window {self._title!r} cannot be opened on display {where!r} ({end}):\n"
            f"{self._last_words()}Check that this display runs and that DISPLAY and XAUTHORITY "
            "are those of its session; or leave -d out."
        )

    async def run(self) -> None:
        """Show pictures until the window is gone.

        Raises:
            WindowGone: it always ends with this.
        """
        assert self._process is not None, "the window was not opened"
        stdin, stdout, _ = _pipes(self._process)
        tasks = [
            asyncio.create_task(self._send(stdin), name=f"pictures:{self._title}"),
            asyncio.create_task(self._watch(stdout), name=f"window:{self._title}"),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def close(self) -> None:
        """Remove the window and its process; repeatable."""
        process = self._process
        if process is None:
            return
        stdin, _, _ = _pipes(process)
        stdin.close()
        await self._end()
        with contextlib.suppress(ConnectionError):
            await stdin.wait_closed()

    async def _send(self, stdin: asyncio.StreamWriter) -> None:
        try:
            while True:
                draw = await self._newest.get()
                stdin.write(await asyncio.to_thread(_pack, draw))
                await stdin.drain()
                await self._shown.wait()
                self._shown.clear()
        except ConnectionError:
            raise await self._gone() from None

    async def _watch(self, stdout: asyncio.StreamReader) -> None:
        while await stdout.readline():
            self._shown.set()
        raise await self._gone()

    async def _gone(self) -> WindowGone:
        """Why the window is gone, once its process has ended."""
        end = await self._end()
        assert self._process is not None
        if self._process.returncode == CLOSED_STATUS:
            return WindowGone(
                f"the window {self._title!r} was closed, and the program ends with it. "
                "Leave -d out to play without windows."
            )
        return WindowGone(
            f"the window {self._title!r} is gone ({end}):\n{self._last_words()}"
            "Look whether its display still runs; or leave -d out."
        )

    async def _end(self) -> str:
        """Wait for the process, kill it where it does not end; how it ended, in words."""
        assert self._process is not None
        try:
            async with asyncio.timeout(_END_TIMEOUT_S):
                status = await self._process.wait()
        except TimeoutError:
            self._process.kill()
            status = await self._process.wait()
        if self._listening is not None:
            await asyncio.wait({self._listening})
        return (
            f"its process ended by {signal.Signals(-status).name}"
            if status < 0
            else (f"its process ended with status {status}")
        )

    async def _listen(self, stderr: asyncio.StreamReader) -> None:
        while chunk := await stderr.read(_WORDS_BYTES):
            self._words = (self._words + chunk)[-_WORDS_BYTES:]

    def _last_words(self) -> str:
        """What the process said, indented, at most a few lines; empty where it said nothing."""
        lines = [
            line
            for line in self._words.decode(errors="replace").splitlines()
            if line.strip() and not line.startswith(_NOISE)
        ]
        return "".join(f"  {line}\n" for line in lines[-6:])


def _pack(draw: Draw) -> bytes:
    picture = draw()
    height, width, _ = picture.shape
    return HEADER.pack(height, width) + picture.tobytes()


def _pipes(
    process: asyncio.subprocess.Process,
) -> tuple[asyncio.StreamWriter, asyncio.StreamReader, asyncio.StreamReader]:
    stdin, stdout, stderr = process.stdin, process.stdout, process.stderr
    assert stdin is not None
    assert stdout is not None
    assert stderr is not None
    return stdin, stdout, stderr
