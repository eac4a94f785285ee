"""A wall clock that runs, and that a test can push forward."""

from datetime import UTC, datetime, timedelta


class MovableClock:
    """The real time plus what the test added."""

    def __init__(self) -> None:
        self._offset = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self._offset

    def advance(self, seconds: float) -> None:
        self._offset += timedelta(seconds=seconds)
