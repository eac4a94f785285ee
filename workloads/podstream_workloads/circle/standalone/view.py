"""What the server's window shows."""

import cv2
import numpy as np

_GREEN, _BLUE, _RED = (0, 255, 0), (255, 0, 0), (0, 0, 255)


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
