"""The program's side of a window, against window processes that behave, die or hang."""

import asyncio
import sys
import threading
import time

import cv2
import numpy as np
import pytest

from podstream_workloads.circle.__main__ import main
from podstream_workloads.circle.standalone import display
from podstream_workloads.circle.standalone.display import NoDisplay, Window, WindowGone

_OPEN = "import os, signal, sys; i, o = sys.stdin.buffer, sys.stdout; print('opened', flush=True);"
_TAKE = "h = i.read(8); i.read(int.from_bytes(h[:4]) * int.from_bytes(h[4:]) * 3);"
_SHOWN = "print('shown', flush=True);"
_BLACK = np.zeros((48, 64, 3), np.uint8)


def window(program: str) -> Window:
    return Window("ball", command=(sys.executable, "-S", "-c", program))


async def outcome(window: Window) -> str:
    """What a window says that was opened and is gone."""
    try:
        await window.open()
        async with asyncio.timeout(10):
            with pytest.raises(WindowGone) as gone:
                await window.run()
        return str(gone.value)
    finally:
        await window.close()


async def test_pictures_are_shown_one_after_the_other_and_the_newest_wins() -> None:
    shown = window(f"{_OPEN} {_TAKE} {_SHOWN} {_TAKE} {_SHOWN} sys.exit(3)")
    drawn: list[int] = []
    free = threading.Event()
    loop, second = asyncio.get_running_loop(), asyncio.Event()

    def draw(number: int) -> np.ndarray:
        drawn.append(number)
        if number == 0:
            loop.call_soon_threadsafe(second.set)
            free.wait(10)
        return _BLACK

    await shown.open()
    running = asyncio.create_task(shown.run())
    shown.show(lambda: draw(0))
    await asyncio.wait_for(second.wait(), 10)
    for number in (1, 2, 3):
        shown.show(lambda number=number: draw(number))  # type: ignore[misc]
    free.set()
    with pytest.raises(WindowGone, match="closed"):
        await running
    await shown.close()
    assert drawn == [0, 3]


async def test_window_that_takes_nothing_does_not_hold_up_the_program() -> None:
    stuck = window(f"{_OPEN} signal.pause()")
    await stuck.open()
    running = asyncio.create_task(stuck.run())
    large = np.zeros((2160, 3840, 3), np.uint8)
    begun = time.monotonic()
    for _ in range(100):
        stuck.show(lambda: large)
        await asyncio.sleep(0)
    assert time.monotonic() - begun < 0.5
    assert not running.done()
    running.cancel()
    await asyncio.wait({running})
    assert stuck._process is not None
    stuck._process.terminate()
    await stuck.close()


@pytest.mark.parametrize(
    ("program", "words"),
    [
        pytest.param(f"{_OPEN} sys.exit(3)", ["'ball' was closed", "Leave -d out"], id="closed"),
        pytest.param(
            f"{_OPEN} os.kill(os.getpid(), signal.SIGKILL)", ["ended by SIGKILL"], id="killed"
        ),
        pytest.param(
            f"{_OPEN} sys.stderr.write('QFontDatabase: none\\nThe X11 connection broke\\n');"
            "sys.stderr.flush(); sys.exit(1)",
            ["ended with status 1", "(its process ended with status 1):\n  The X11 connection"],
            id="the display went away",
        ),
    ],
)
async def test_window_that_goes_away_says_why(program: str, words: list[str]) -> None:
    said = await outcome(window(program))
    for expected in words:
        assert expected in said


async def test_window_that_cannot_open_gives_the_cause_and_the_fix(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DISPLAY", ":77")
    aborting = window(
        "import os, sys; sys.stderr.write('qt.qpa.xcb: could not connect to display :77\\n');"
        "sys.stderr.flush(); os.abort()"
    )
    with pytest.raises(NoDisplay) as refused:
        await aborting.open()
    said = str(refused.value)
    assert "on display ':77' (its process ended by SIGABRT)" in said
    assert "could not connect to display :77" in said
    assert "leave -d out" in said


async def test_window_that_hangs_while_it_opens_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(display, "OPEN_TIMEOUT_S", 0.1)
    monkeypatch.setattr(display, "_END_TIMEOUT_S", 0.1)
    hanging = window("import signal; signal.pause()")
    with pytest.raises(NoDisplay, match=r"nothing happened within 0\.1 s"):
        await hanging.open()
    assert hanging._process is not None
    assert hanging._process.returncode == -9


async def test_fault_in_a_drawing_is_not_hidden() -> None:
    def draw() -> np.ndarray:
        raise ZeroDivisionError

    shown = window(f"{_OPEN} i.read()")
    await shown.open()
    shown.show(draw)
    async with asyncio.timeout(10):
        with pytest.raises(ZeroDivisionError):
            await shown.run()
    await shown.close()


def _pretend(monkeypatch: pytest.MonkeyPatch, *, gui: str) -> None:
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: f"  GUI:   {gui}\n")


@pytest.mark.parametrize("program", ["server", "client"])
def test_no_display_at_all_is_said_before_anything_starts(
    program: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _pretend(monkeypatch, gui="QT5")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert main([program, "-d"]) == 2
    assert "DISPLAY is not set" in capsys.readouterr().err
