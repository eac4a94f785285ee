"""The process that owns a window: `python -m podstream_workloads.circle.standalone.window TITLE`.

A process of its own because the wheels of PyAV and of a desktop OpenCV cannot share one. Both bring
a `libxcb-shm` with the same SONAME, PyAV's linked to a libxcb of its own and OpenCV's to the
system's; the one that is loaded first serves both. With PyAV first, Qt hands its X connection to
the other libxcb, which spins for ever over a reply in the first `namedWindow`
(https://github.com/PyAV-Org/PyAV/issues/978; seen with av 18.1.0 and opencv-python 5.0.0.93). So
this module imports no av, not even indirectly (`.importlinter`). It also keeps OpenCV's event loop
out of the program's.

Standard input: pictures, each `HEADER` and then height * width * 3 bytes, BGR; the next one is sent
when the last was shown.
Standard output: a line `OPENED`, then a line `SHOWN` after each picture.
Exit status: 0 at the end of the input, `CLOSED_STATUS` where the user closed the window. What Qt
cannot open it ends with SIGABRT, its reason on standard error.
"""

import contextlib
import ctypes
import resource
import select
import struct
import sys
from typing import Final

import cv2
import numpy as np

HEADER: Final = struct.Struct(">II")
"""Height and width of a picture, pixels."""
OPENED: Final = b"opened\n"
SHOWN: Final = b"shown\n"
CLOSED_STATUS: Final = 3
_EVENTS_S: Final = 0.05
"""Longest time between two looks at the window's events: a closed window is noticed by then."""


def main() -> int:
    """Show what comes in until it ends or the user closes the window; the exit status."""
    title = sys.argv[1]
    # Qt aborts where it cannot open a display: that is reported, and nobody wants its core.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _prefer_the_systems_x11_xcb()
    cv2.namedWindow(title, cv2.WINDOW_AUTOSIZE | cv2.WINDOW_GUI_NORMAL)
    cv2.waitKey(1)
    try:
        return _show(title)
    except BrokenPipeError:
        return 0  # the program is gone


def _prefer_the_systems_x11_xcb() -> None:
    """Let Qt alone take events off the X connection; before the first window.

    Qt claims them with libX11-xcb's `XSetEventQueueOwner`, which writes into a private structure of
    libX11. The wheel of opencv-python 5.0.0.93 brings a libX11-xcb that writes to offset 0x40 of
    it, and the system's libX11 1.8.4 reads from 0x48. So Xlib goes on taking events, which nobody
    asks it for; where the window's MapNotify is one of them Qt never paints (one start in ten).
    What is loaded globally is found before the wheel's own.
    """
    if sys.platform == "linux":
        # Without the system's there is only the wheel's, which may fit.
        with contextlib.suppress(OSError):
            ctypes.CDLL("libX11-xcb.so.1", mode=ctypes.RTLD_GLOBAL)


def _show(title: str) -> int:
    _say(OPENED)
    while True:
        # Nothing lies in stdin's buffer here: the next picture is sent after the answer.
        news, _, _ = select.select([sys.stdin], [], [], _EVENTS_S)
        if news:
            picture = _receive()
            if picture is None:
                return 0
            cv2.imshow(title, picture)
        cv2.waitKey(1)
        if not _is_open(title):
            return CLOSED_STATUS
        if news:
            _say(SHOWN)


def _is_open(title: str) -> bool:
    try:
        visible: float = cv2.getWindowProperty(title, cv2.WND_PROP_VISIBLE)
    except cv2.error:
        return False  # of the Qt build, once its last window is closed
    return visible >= 1


def _receive() -> np.ndarray | None:
    """The next picture; `None` at the end of the input, also within a picture."""
    header = sys.stdin.buffer.read(HEADER.size)
    if len(header) < HEADER.size:
        return None
    height, width = HEADER.unpack(header)
    pixels = sys.stdin.buffer.read(height * width * 3)
    if len(pixels) < height * width * 3:
        return None
    return np.frombuffer(pixels, np.uint8).reshape(height, width, 3)


def _say(line: bytes) -> None:
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main())
