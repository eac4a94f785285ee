"""What a client did, in figures."""

import time
from dataclasses import asdict, dataclass, field


@dataclass(slots=True)
class Summary:
    """Counted while playing; seconds of the monotonic clock."""

    received: int = 0
    """Frames that were decoded."""
    dropped: int = 0
    """Frames that a newer one replaced before they were looked at."""
    estimated: int = 0
    missed: int = 0
    """Frames without a ball."""
    sent: int = 0
    """Frames of the client's own video (`--upload`)."""
    x: float | None = None
    """Where the server saw the ball last (`--upload`), pixels."""
    y: float | None = None
    connections: int = 0
    started: float = field(default_factory=time.monotonic)

    def to_json(self) -> dict[str, float | None]:
        """The counters, with `seconds` and `fps` instead of the start."""
        figures: dict[str, float | None] = asdict(self)
        del figures["started"]
        seconds = time.monotonic() - self.started
        return {
            **figures,
            "seconds": round(seconds, 3),
            "fps": round(self.estimated / seconds, 2) if seconds > 0 else 0.0,
        }
