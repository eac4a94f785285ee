"""Slow and plain: every operation as nested loops over lists, to hold the fast ones against."""

from collections.abc import Callable
from typing import Any

Rows = list[list[list[int]]]
"""Rows of pixels of channels."""


def rows_of(picture: Any) -> Rows:
    height, width = picture.shape[:2]
    cube = picture.reshape(height, width, -1)
    return [[[int(value) for value in pixel] for pixel in row] for row in cube]


def turn(rows: Rows, quarters: int) -> Rows:
    """One counter-clockwise turn: the right column becomes the top row."""
    for _ in range(quarters % 4):
        height, width = len(rows), len(rows[0])
        rows = [[rows[y][width - 1 - x] for y in range(height)] for x in range(width)]
    return rows


def flip(rows: Rows, *, horizontal: bool, vertical: bool) -> Rows:
    rows = [row[::-1] for row in rows] if horizontal else rows
    return rows[::-1] if vertical else rows


def mean_existing(rows: Rows, *, width: int = 3, height: int = 3) -> Rows:
    """floor(sum / count) over the window's pixels that exist."""
    tall, wide, channels = len(rows), len(rows[0]), len(rows[0][0])

    def at(y: int, x: int, c: int) -> int:
        window = [
            rows[v][u][c]
            for v in range(max(0, y - height // 2), min(tall, y + height // 2 + 1))
            for u in range(max(0, x - width // 2), min(wide, x + width // 2 + 1))
        ]
        return sum(window) // len(window)

    return [[[at(y, x, c) for c in range(channels)] for x in range(wide)] for y in range(tall)]


def mirror_101(i: int, n: int) -> int:
    while not 0 <= i < n:
        if n == 1:
            return 0
        i = -i if i < 0 else 2 * n - 2 - i
    return i


def mirror(i: int, n: int) -> int:
    while not 0 <= i < n:
        i = -i - 1 if i < 0 else 2 * n - 1 - i
    return i


def clamp(i: int, n: int) -> int:
    return min(max(i, 0), n - 1)


def outside(i: int, n: int) -> int | None:
    return i if 0 <= i < n else None


INDEX: dict[str, Callable[[int, int], int | None]] = {
    "Reflect101": mirror_101,
    "Reflect": mirror,
    "Replicate": clamp,
    "Constant": outside,
}


def mean_bordered(rows: Rows, *, width: int, height: int, border: str) -> Rows:
    """(2 sum + K) div 2K over the window of the extended picture."""
    tall, wide, channels = len(rows), len(rows[0]), len(rows[0][0])
    index, count = INDEX[border], width * height

    def at(y: int, x: int, c: int) -> int:
        total = 0
        for v in range(y - height // 2, y + height // 2 + 1):
            for u in range(x - width // 2, x + width // 2 + 1):
                j, i = index(v, tall), index(u, wide)
                total += 0 if i is None or j is None else rows[j][i][c]
        return (2 * total + count) // (2 * count)

    return [[[at(y, x, c) for c in range(channels)] for x in range(wide)] for y in range(tall)]


def gray(rows: Rows) -> Rows:
    """Luma by ITU-R BT.601, rounded to the nearest."""
    return [
        [[round(0.299 * red + 0.587 * green + 0.114 * blue)] for red, green, blue in row]
        for row in rows
    ]
