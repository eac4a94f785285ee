"""What a recogniser may answer, and what a recogniser is."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Outcome(StrEnum):
    """Whose face is it? Only `UNKNOWN` raises an alarm."""

    KNOWN = "known"
    UNKNOWN = "unknown"
    UNDETERMINED = "undetermined"
    """No face, no credentials, no service: neither an alarm nor an all-clear."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A recogniser's answer about one picture."""

    outcome: Outcome
    reason: str = ""
    """Why it is undetermined, in words for a log; empty otherwise."""
    name: str = ""
    """Who it is, where known."""
    similarity: float | None = None
    """On the recogniser's own scale."""

    @property
    def intruder(self) -> bool:
        """What the wire's `result` says: true only for a face that is not known."""
        return self.outcome is Outcome.UNKNOWN


def undetermined(reason: str) -> Verdict:
    """No answer, and why."""
    return Verdict(Outcome.UNDETERMINED, reason=reason)


class Recogniser(Protocol):
    """Says whether the face in a picture is known."""

    @property
    def name(self) -> str:
        """`local` or `rekognition`, in logs and results."""
        ...

    @property
    def trouble(self) -> str:
        """Why every verdict is undetermined at present, in words for people; empty otherwise."""
        ...

    async def open(self) -> None:
        """Make ready; may take seconds. What may pass is not raised: verdicts then say so."""
        ...

    async def recognise(self, picture: bytes, *, track: str) -> Verdict:
        """The verdict on a picture's largest face; never raises for what pictures or services do.

        Args:
            picture: a JPEG or PNG file, checked against the limits before.
            track: who sends it, or which track it shows; may be used to answer from memory.
        """
        ...

    async def close(self) -> None:
        """Let go of threads and connections."""
        ...
