"""The recogniser that works offline."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from podstream_workloads.tracking.intruder.pictures import PictureLimits, PictureRefused, decode
from podstream_workloads.tracking.intruder.recognisers.local.descriptor import describe
from podstream_workloads.tracking.intruder.recognisers.local.finder import FaceFinder
from podstream_workloads.tracking.intruder.recognisers.local.gallery import (
    Gallery,
    GalleryUnreadable,
    load,
)
from podstream_workloads.tracking.intruder.verdict import Outcome, Verdict, undetermined

logger = logging.getLogger(__name__)


class LocalRecogniser:
    """Compares faces with a gallery file, which may be replaced while it runs."""

    name = "local"

    def __init__(
        self,
        gallery: Path,
        *,
        threshold: float | None = None,
        limits: PictureLimits | None = None,
    ) -> None:
        """`threshold` replaces the gallery's own; higher lets fewer people pass as known."""
        self._path = gallery
        self._threshold = threshold
        self._limits = limits or PictureLimits()
        self._finder = FaceFinder()
        self._gallery: Gallery | None = None
        self._stamp: tuple[int, int] | None = None
        self.trouble = ""
        """See `Recogniser`."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="faces")

    async def open(self) -> None:
        """Read the gallery; a missing one makes every verdict undetermined until it is there."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._look_again)

    async def recognise(self, picture: bytes, *, track: str) -> Verdict:
        """The verdict on the largest face; `track` is not used: every picture is cheap."""
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, self._verdict, picture
        )

    async def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _verdict(self, picture: bytes) -> Verdict:
        self._look_again()
        if self._gallery is None:
            return undetermined(self.trouble)
        try:
            pixels = decode(picture, limits=self._limits)
        except PictureRefused as refused:
            return undetermined(f"no picture: {refused}")
        face = self._finder.largest(pixels)
        if face is None:
            return undetermined("no face found")
        name, likeness = self._gallery.match(describe(face.gray))
        least = self._gallery.threshold if self._threshold is None else self._threshold
        if likeness >= least:
            return Verdict(Outcome.KNOWN, name=name, similarity=likeness)
        return Verdict(Outcome.UNKNOWN, similarity=likeness)

    def _look_again(self) -> None:
        why = self._refresh()
        self.trouble = f"no gallery: {why}" if self._gallery is None else ""

    def _refresh(self) -> str:
        """Read the gallery where it is new; returns why it could not be read."""
        try:
            status = self._path.stat()
        except OSError as error:
            self._gallery, self._stamp = None, None
            return str(error)
        stamp = (status.st_mtime_ns, status.st_size)
        if stamp == self._stamp:
            return ""
        try:
            self._gallery = load(self._path)
        except GalleryUnreadable as error:
            # Perhaps half written: the old one stays, and the next picture tries again.
            logger.error("%s", error)
            return str(error)
        self._stamp = stamp
        logger.info("Gallery of %d people read", len(self._gallery.names))
        return ""
