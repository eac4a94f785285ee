"""Pictures with intruders, kept in a folder, never more than a number of them and of bytes."""

from datetime import datetime
from pathlib import Path


class Evidence:
    """A folder of pictures, the oldest deleted first. Blocks: call it in a thread."""

    def __init__(self, folder: Path, *, limit: int, max_bytes: int) -> None:
        self._folder = folder
        self._limit = limit
        self._max_bytes = max_bytes

    def keep(self, jpeg: bytes, *, at: datetime) -> Path:
        """Save a picture as `intruder_<YYYY-mm-dd_HH-MM-SS>.jpg`; more of a second get a number.

        Raises:
            OSError: the folder cannot be written.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        stem = f"intruder_{at.strftime('%Y-%m-%d_%H-%M-%S')}"
        path = self._folder / f"{stem}.jpg"
        number = 2
        while path.exists():
            path = self._folder / f"{stem}_{number}.jpg"
            number += 1
        path.write_bytes(jpeg)
        self._prune()
        return path

    def _prune(self) -> None:
        kept = self.pictures()
        sizes = [path.stat().st_size for path in kept]
        while kept and (len(kept) > self._limit or sum(sizes) > self._max_bytes):
            kept.pop(0).unlink(missing_ok=True)
            sizes.pop(0)

    def pictures(self) -> list[Path]:
        """Those that are kept, the oldest first."""
        return sorted(
            self._folder.glob("intruder_*.jpg"),
            key=lambda path: (path.stat().st_mtime_ns, path.name),
        )
