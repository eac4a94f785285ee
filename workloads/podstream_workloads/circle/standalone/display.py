"""Windows, where a desktop OpenCV is installed."""

import cv2
import numpy as np

_GREEN, _BLUE, _RED = (0, 255, 0), (255, 0, 0), (0, 0, 255)


class NoDisplay(Exception):
    """The installed OpenCV cannot open windows."""


def require_display() -> None:
    """Check that windows can be opened.

    Raises:
        NoDisplay: says what to install.
    """
    build = cv2.getBuildInformation()
    gui = next((line for line in build.splitlines() if line.strip().startswith("GUI:")), "")
    if gui.strip() in ("GUI:", "") or "NONE" in gui:
        raise NoDisplay(
            "-d needs an OpenCV with windows, and this one is headless. Replace it:\n"
            "  pip uninstall opencv-python-headless && pip install 'podstream[desktop]'"
        )


class Window:
    """One window that shows the newest picture."""

    def __init__(self, title: str) -> None:
        self._title = title
        cv2.namedWindow(title)

    def show(self, picture: np.ndarray) -> None:
        """Show a BGR picture."""
        cv2.imshow(self._title, picture)
        cv2.waitKey(1)

    def close(self) -> None:
        """Remove the window."""
        cv2.destroyWindow(self._title)


def draw_server_view(
    size: tuple[int, int],
    *,
    radius: int,
    truth: tuple[float, float],
    estimate: tuple[float, float],
) -> np.ndarray:
    """The ball in green with a blue centre, the estimate as a red dot and ring; BGR."""
    width, height = size
    picture = np.zeros((height, width, 3), np.uint8)
    true_centre = (round(truth[0]), round(truth[1]))
    seen_centre = (round(estimate[0]), round(estimate[1]))
    cv2.circle(picture, true_centre, radius, _GREEN, -1)
    cv2.circle(picture, true_centre, 2, _BLUE, -1)
    cv2.circle(picture, seen_centre, 2, _RED, -1)
    cv2.circle(picture, seen_centre, radius, _RED, 1)
    return picture
