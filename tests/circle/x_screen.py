"""What a user with a screen and a mouse does: looks at it, moves windows, closes one.

A program of its own, run with python-xlib in the environment of `clients.desktop_python`.

    x_screen.py list            the windows that can be seen: title, width, height, x, y
    x_screen.py move TITLE X Y
    x_screen.py shot FILE       the whole screen as an .npy file: height x width x 3, BGR
    x_screen.py close TITLE     the close button: the polite request of every window manager
"""

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from Xlib import X, display
from Xlib.protocol import event


def windows(screen: Any) -> Iterator[Any]:
    """The visible top-level windows; without a window manager they are the root's children."""
    for window in screen.root.query_tree().children:
        if window.get_attributes().map_state == X.IsViewable and window.get_wm_name():
            yield window


def find(screen: Any, title: str) -> Any:
    for window in windows(screen):
        if window.get_wm_name() == title:
            return window
    raise SystemExit(f"no window {title!r} on the screen")


def shot(screen: Any) -> np.ndarray:
    width, height = screen.width_in_pixels, screen.height_in_pixels
    image = screen.root.get_image(0, 0, width, height, X.ZPixmap, 0xFFFFFFFF)
    return np.frombuffer(image.data, np.uint8).reshape(height, width, 4)[:, :, :3]


def request_close(connection: Any, window: Any) -> None:
    protocols = connection.intern_atom("WM_PROTOCOLS")
    delete = connection.intern_atom("WM_DELETE_WINDOW")
    data = (32, [delete, X.CurrentTime, 0, 0, 0])
    window.send_event(event.ClientMessage(window=window, client_type=protocols, data=data))


def main() -> None:
    action, *rest = sys.argv[1:]
    connection = display.Display()
    screen = connection.screen()
    match action, rest:
        case "list", []:
            for window in windows(screen):
                place = window.get_geometry()
                print(window.get_wm_name(), place.width, place.height, place.x, place.y)
        case "move", [title, x, y]:
            find(screen, title).configure(x=int(x), y=int(y))
        case "shot", [path]:
            np.save(path, shot(screen))
        case "close", [title]:
            request_close(connection, find(screen, title))
        case _:
            raise SystemExit(__doc__)
    connection.sync()
    connection.close()


if __name__ == "__main__":
    main()
