"""JPEG pictures out of a `multipart/x-mixed-replace` body, and what is done with the newest."""

import re
import threading
from collections.abc import Iterable, Iterator
from typing import Any, Final

from podstream_kubectl.errors import PluginError, UsageError

_LENGTH: Final = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_HEAD_END: Final = b"\r\n\r\n"
_MAX_HEAD: Final = 4096
_MAX_PICTURE: Final = 64 << 20


class BrokenPictures(PluginError):
    """What comes is not the pictures of a stream."""


def split(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Each picture as it is whole.

    Raises:
        BrokenPictures: a part says no length, or one beyond 64 MiB.
    """
    kept = bytearray()
    for chunk in chunks:
        kept += chunk
        while (end := kept.find(_HEAD_END)) >= 0:
            found = _LENGTH.search(kept, 0, end)
            size = int(found[1]) if found else 0
            if not 0 < size <= _MAX_PICTURE:
                raise BrokenPictures("the router sends no pictures: a part says no length")
            begin = end + len(_HEAD_END)
            if len(kept) < begin + size:
                break
            yield bytes(kept[begin : begin + size])
            del kept[: begin + size]
        else:
            if len(kept) > _MAX_HEAD:
                raise BrokenPictures("the router sends no pictures: a part has no head")


class Newest:
    """The newest picture of a stream that a thread reads; those that nobody took are gone."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._pictures = split(chunks)
        self._changed = threading.Condition()
        self._picture: bytes | None = None
        self._over = False
        self._fault: PluginError | None = None

    def start(self) -> None:
        """Read from now on. The thread ends with the program: a read cannot be interrupted."""
        threading.Thread(target=self._read, name="pictures", daemon=True).start()

    def take(self, *, timeout_s: float) -> bytes | None:
        """The next one; `None` where none has come in time.

        Raises:
            StopIteration: the stream is over.
            PluginError: it cannot be read.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._picture is not None or self._over, timeout_s)
            picture, self._picture = self._picture, None
            if picture is None and self._over:
                raise self._fault or StopIteration
            return picture

    def _read(self) -> None:
        try:
            for picture in self._pictures:
                with self._changed:
                    self._picture = picture
                    self._changed.notify()
        except PluginError as error:
            self._fault = error
        finally:
            with self._changed:
                self._over = True
                self._changed.notify()


class Decoder:
    """JPEG to pixels, by PyAV, which the plugin alone does not need."""

    def __init__(self) -> None:
        """Load it.

        Raises:
            UsageError: it is not installed.
        """
        try:
            import av  # noqa: PLC0415 - the plugin's other commands do without
        except ImportError as error:
            raise UsageError(
                "--terminal decodes pictures with PyAV: pip install 'podstream[media]'"
            ) from error
        self._av = av

    def decode(self, jpeg: bytes) -> Any:
        """The picture, an `av.VideoFrame`; `None` where it is none.

        Each has a decoder of its own: a picture may differ from the last one in size.
        """
        context: Any = self._av.CodecContext.create("mjpeg", "r")
        try:
            frames = context.decode(self._av.Packet(jpeg))
        except (self._av.FFmpegError, ValueError):
            return None
        return frames[0] if frames else None
