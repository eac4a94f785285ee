"""Log lines as the existing system's components write them, in files that roll over at midnight.

    2026-03-01 12:00:00,123 - INFO  - camera.py:send:42 - message

in `log_<YYYY-MM-DD>.txt`; the date is that of the line, not of the start.
"""

import logging
import sys
from datetime import datetime
from pathlib import Path
from typing import Final, TextIO

_LEVELS: Final = {
    logging.DEBUG: "DEBUG",
    logging.INFO: "INFO",
    logging.WARNING: "WARN",
    logging.ERROR: "ERROR",
    logging.CRITICAL: "ERROR",
}


class DeviceFormatter(logging.Formatter):
    """`<date time> - LEVEL - file:function:line - message`, the level padded to five letters."""

    def __init__(self) -> None:
        super().__init__(
            "%(asctime)s - %(shown)-5s - %(filename)s:%(funcName)s:%(lineno)d - %(message)s"
        )

    def format(self, record: logging.LogRecord) -> str:
        """One line, and the traceback where there is one."""
        record.shown = _LEVELS.get(record.levelno, record.levelname)
        return super().format(record)


class DailyFile(logging.Handler):
    """Writes each line to the file of its own day, in local time."""

    def __init__(self, folder: Path) -> None:
        """Make the folder.

        Raises:
            OSError: it cannot be made.
        """
        super().__init__()
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._day = ""
        self._file: TextIO | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Append the line."""
        try:
            day = datetime.fromtimestamp(record.created).astimezone().strftime("%Y-%m-%d")
            if self._file is None or day != self._day:
                if self._file is not None:
                    self._file.close()
                self._file = (self._folder / f"log_{day}.txt").open("a", encoding="utf-8")
                self._day = day
            self._file.write(self.format(record) + "\n")
            self._file.flush()
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Close the day's file."""
        if self._file is not None:
            self._file.close()
            self._file = None
        super().close()


def set_up(*, folder: Path | None, verbose: bool = False) -> None:
    """Log to standard error, and to a folder where one is given.

    Raises:
        OSError: the folder cannot be made.
    """
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if folder is not None:
        handlers.append(DailyFile(folder))
    for handler in handlers:
        handler.setFormatter(DeviceFormatter())
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO, handlers=handlers, force=True
    )
    for name in ("socketio", "engineio", "aiohttp.access"):
        logging.getLogger(name).setLevel(logging.WARNING)
