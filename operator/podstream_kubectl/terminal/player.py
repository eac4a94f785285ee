"""Shows a stream's newest picture on the terminal until it ends or somebody has seen enough."""

from collections.abc import Iterable
from typing import Any, Final

from podstream_kubectl.terminal.blocks import CLEAR, PLAIN, draw, fit
from podstream_kubectl.terminal.pictures import Decoder, Newest
from podstream_kubectl.terminal.screen import Screen, screen

_QUIT: Final = ("q", "Q", "\x1b", "\x03")
_LOOK_S: Final = 0.05
"""Between two looks at keys and at the terminal's size, while no picture comes."""
_FOOT: Final = "\x1b[{line};1H" + PLAIN + "\x1b[K{text}"


def play(chunks: Iterable[bytes], *, title: str) -> int:
    """Play until the stream ends or q is pressed; how many pictures were shown.

    Args:
        chunks: a `multipart/x-mixed-replace` body in whatever pieces.
        title: for the last line.

    Raises:
        UsageError: there is no terminal, or no decoder.
        PluginError: the stream cannot be read.
        KeyboardInterrupt: Ctrl-C; the terminal is as it was.
    """
    decoder = Decoder()
    newest = Newest(chunks)
    with screen() as shown:
        newest.start()
        return _show(shown, newest, decoder, title=title)


def _show(shown: Screen, newest: Newest, decoder: Decoder, *, title: str) -> int:
    picture: Any = None
    size = (0, 0)
    count = 0
    while shown.key() not in _QUIT:
        try:
            jpeg = newest.take(timeout_s=_LOOK_S)
        except StopIteration:
            break
        fresh = decoder.decode(jpeg) if jpeg is not None else None
        now = shown.size()
        if fresh is None and (picture is None or now == size):
            continue
        picture = fresh or picture
        count += fresh is not None
        _draw(shown, picture, size=now, is_new_size=now != size, title=title)
        size = now
    return count


def _draw(
    shown: Screen, picture: Any, *, size: tuple[int, int], is_new_size: bool, title: str
) -> None:
    columns, lines = size
    width, height = fit((picture.width, picture.height), columns=columns, lines=max(1, lines - 1))
    small = picture.reformat(width=width, height=height, format="rgb24")
    plane = small.planes[0]
    text = draw(bytes(plane), width=width, height=height, stride=plane.line_size)
    foot = f"{title}  {picture.width}x{picture.height}  q: quit"[:columns]
    shown.write((CLEAR if is_new_size else "") + text + _FOOT.format(line=lines, text=foot))
