"""A picture as text: each character is two pixels, the upper in the letter, the lower behind it.

U+2580 UPPER HALF BLOCK with 24-bit colours (ISO 8613-6, `38;2;r;g;b` and `48;2;r;g;b`), which every
terminal with true colour draws as two squares. Pure: no terminal, no codec.
"""

from typing import Final

HALF: Final = "\u2580"
HOME: Final = "\x1b[H"
CLEAR: Final = "\x1b[2J"
PLAIN: Final = "\x1b[0m"
_LINE: Final = f"{PLAIN}\x1b[K\r\n"


def fit(size: tuple[int, int], *, columns: int, lines: int) -> tuple[int, int]:
    """Pixels, width and even height, of a picture that fits into so many characters.

    Args:
        size: of the picture, width and height.
        columns: characters in a line.
        lines: of the terminal; each is two pixels high.
    """
    width, height = size
    scale = min(columns / width, 2 * lines / height)
    return max(1, round(width * scale)), max(2, 2 * round(height * scale / 2))


def draw(pixels: bytes, *, width: int, height: int, stride: int) -> str:
    """Lines of coloured half blocks from the terminal's upper left corner on.

    Args:
        pixels: RGB, 8 bits each, rows from top to bottom.
        width: pixels of a row.
        height: rows, an even number.
        stride: bytes from one row to the next.
    """
    lines = []
    for top in range(0, height, 2):
        upper, lower = top * stride, (top + 1) * stride
        parts = []
        last_front = last_back = b""
        for at in range(0, 3 * width, 3):
            front = pixels[upper + at : upper + at + 3]
            back = pixels[lower + at : lower + at + 3]
            if front != last_front:
                parts.append("\x1b[38;2;{};{};{}m".format(*front))
                last_front = front
            if back != last_back:
                parts.append("\x1b[48;2;{};{};{}m".format(*back))
                last_back = back
            parts.append(HALF)
        lines.append("".join(parts))
    return HOME + _LINE.join(lines) + PLAIN
