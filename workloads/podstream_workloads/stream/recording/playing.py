"""What of a recording can be played before it is finished: files that grow, and their playlist."""

from collections.abc import Callable
from pathlib import Path

from podstream_workloads.stream.recording.playlist import ARTEFACT_PREFIX, PLAYLIST, Playlist
from podstream_workloads.stream.recording.segment import Segment, Whole


class Playing:
    """Follows the files of one session; the recording thread calls what changes it.

    Every such method raises `OSError` where the disk does not take the playlist.
    """

    def __init__(self, folder: Path | None, *, on_change: Callable[[], None]) -> None:
        """Prepare.

        Args:
            folder: for the playlist; `None` where nothing is to be played early.
            on_change: called when there is a playlist for the first time.
        """
        self._playlist = None if folder is None else Playlist(folder)
        self._on_change = on_change
        self._growing: dict[Path, Path] = {}

    @property
    def growing(self) -> list[tuple[Path, Path]]:
        """Files that are not finished: what each will be called, and what it is called now."""
        return list(self._growing.items())

    @property
    def files(self) -> tuple[Path, ...]:
        """The playlist and what belongs to it; empty while there is nothing to play."""
        return () if self._playlist is None else self._playlist.files

    @property
    def artefact(self) -> str | None:
        """What players open."""
        return f"{ARTEFACT_PREFIX}{PLAYLIST}" if self.files else None

    def begun(self, segment: Segment) -> None:
        """A file is being written."""
        if self._playlist is not None and segment.fragments is not None:
            self._playlist.forget()  # of a file before that could not be finished
            segment.fragments.begins_at = self._playlist.seconds
            self._growing[segment.path] = segment.playing_path

    def grown(self, segment: Segment, *, whole: Whole | None = None) -> None:
        """A file has a frame more, or is whole."""
        if self._playlist is None or segment.fragments is None:
            return
        if whole is None:
            found = segment.fragments.take(segment.playing_path)
        else:
            found = segment.fragments.take(whole.path, end=segment.end_s)
        if not found:
            return
        is_first = not self.files
        self._playlist.add(segment.path.name, segment.fragments, found, last=whole is not None)
        if is_first and self.files:
            self._on_change()

    def settled(self, path: Path) -> None:
        """A file grows no more: it is finished and known, or lost."""
        self._growing.pop(path, None)

    def removed(self, path: Path) -> None:
        """A finished file has left the disk."""
        if self._playlist is not None:
            self._playlist.remove(path.name)

    def ended(self) -> None:
        """The recording is over, for now or for good."""
        if self._playlist is not None:
            self._playlist.end()
