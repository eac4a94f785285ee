"""An HLS playlist of a recording, written anew whenever there is more to play (RFC 8216).

Its segments are byte ranges of the files themselves, of two seconds and more: nothing is stored
twice, and what a finished file has was played in the same place while it grew. The initial part is
a file of its own, because in a finished file it is no longer at the beginning. While frames are
recorded the playlist grows (`EVENT`); it ends when the recording does, and goes on with the next.
"""

import logging
import math
import os
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final
from urllib.parse import quote

from podstream_workloads.stream.recording.fragments import Fragment, Fragments

logger = logging.getLogger(__name__)

PLAYLIST: Final = "recording.m3u8"
ARTEFACT_PREFIX: Final = "stream-"
"""Before the name of each file of the stream workload where it is downloaded."""
_INITIAL: Final = "recording{}.m4s"
"""No recording's name ends so."""
_SEGMENT_S: Final = 2.0
MOST_ENTRIES: Final = 1800
"""An hour. The text is written and sent anew for each new entry: without a bound it takes megabytes
after some hours. What is older is in the files."""


@dataclass(frozen=True, slots=True)
class _Entry:
    file: str
    initial: str
    offset: int
    size: int
    seconds: float


class Playlist:
    """The playlist of one session; one thread calls all of it."""

    def __init__(self, folder: Path) -> None:
        """Nothing is written before there is something to play."""
        self._folder = folder
        self._initials: dict[bytes, str] = {}
        self._entries: list[_Entry] = []
        self._open: list[Fragment] = []
        self._removed = 0
        self._removed_changes = 0
        self.seconds = 0.0
        """Playing time of all that was ever added."""
        self._has_ended = False
        self._is_written = False

    @property
    def files(self) -> tuple[Path, ...]:
        """The playlist and what it needs beside the recordings; empty before the first segment."""
        if not self._is_written:
            return ()
        return (
            self._folder / PLAYLIST,
            *(self._folder / name for name in self._initials.values()),
        )

    def add(self, file: str, fragments: Fragments, found: list[Fragment], *, last: bool) -> None:
        """More of a file can be played.

        Args:
            file: its name once it is finished.
            fragments: of the file, for its initial part.
            found: those that are new.
            last: whether no more of the file will come.

        Raises:
            OSError: the disk does not take the playlist.
        """
        self._open += found
        seconds = sum(item.seconds for item in self._open)
        if not self._open or (seconds < _SEGMENT_S and not last):
            return
        begin, size = self._open[0].offset, sum(item.size for item in self._open)
        self._open = []
        self._has_ended = False
        self.seconds += seconds
        initial = self._initial(fragments.initial)
        self._entries.append(_Entry(file, initial, begin, size, seconds))
        self._leave_out(len(self._entries) - MOST_ENTRIES)
        self._write()

    def forget(self) -> None:
        """What no segment has yet belongs to a file that will not be finished."""
        self._open = []

    def end(self) -> None:
        """The recording is over, for now or for good.

        Raises:
            OSError: the disk does not take the playlist.
        """
        if self._entries and not self._has_ended:
            self._has_ended = True
            self._write()

    def remove(self, file: str) -> None:
        """The oldest file has gone; from here on the playlist is a window and no event.

        Raises:
            OSError: the disk does not take the playlist.
        """
        kept = [entry for entry in self._entries if entry.file != file]
        if len(kept) < len(self._entries):
            self._leave_out(len(self._entries) - len(kept))
            self._write()

    def _leave_out(self, count: int) -> None:
        """Take the oldest entries off; none where the count is not positive."""
        if count > 0:
            self._removed += count
            self._removed_changes += sum(
                one.initial != other.initial for one, other in pairwise(self._entries[: count + 1])
            )
            del self._entries[:count]

    def _initial(self, content: bytes) -> str:
        name = self._initials.get(content)
        if name is None:
            number = "" if not self._initials else f"-{len(self._initials) + 1}"
            name = _INITIAL.format(number)
            self._folder.mkdir(parents=True, exist_ok=True)
            (self._folder / name).write_bytes(content)
            self._initials = {**self._initials, content: name}
        return name

    def _write(self) -> None:
        draft = self._folder / f".{PLAYLIST}"
        draft.write_text(self._text())
        os.replace(draft, self._folder / PLAYLIST)  # a reader has the old one or the new one
        self._is_written = True

    def _text(self) -> str:
        longest = max((entry.seconds for entry in self._entries), default=_SEGMENT_S)
        lines = [
            "#EXTM3U",
            "#EXT-X-VERSION:7",
            f"#EXT-X-TARGETDURATION:{math.ceil(max(longest, _SEGMENT_S + 1))}",
            f"#EXT-X-MEDIA-SEQUENCE:{self._removed}",
        ]
        if self._removed:
            lines.append(f"#EXT-X-DISCONTINUITY-SEQUENCE:{self._removed_changes}")
        else:
            lines.append("#EXT-X-PLAYLIST-TYPE:EVENT")
        lines.append("#EXT-X-INDEPENDENT-SEGMENTS")
        before: _Entry | None = None
        for entry in self._entries:
            if before is not None and before.initial != entry.initial:
                lines.append("#EXT-X-DISCONTINUITY")
            if before is None or before.initial != entry.initial:
                lines.append(f'#EXT-X-MAP:URI="{_uri(entry.initial)}"')
            lines += [
                f"#EXTINF:{entry.seconds:.3f},",
                f"#EXT-X-BYTERANGE:{entry.size}@{entry.offset}",
                _uri(entry.file),
            ]
            before = entry
        if self._has_ended:
            lines.append("#EXT-X-ENDLIST")
        return "\n".join(lines) + "\n"


def _uri(name: str) -> str:
    return quote(ARTEFACT_PREFIX + name)
