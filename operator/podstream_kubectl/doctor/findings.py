"""What doctor says about one thing."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How good it is."""

    OK = "ok"
    UNKNOWN = "unknown"
    """Could not be looked at, mostly for want of rights."""
    WARNING = "warning"
    """Works, or works for some."""
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    check: str
    """What was looked at."""
    level: Level
    message: str
    fix: str = ""
    """What to do; empty where there is nothing to do."""


def ok(check: str, message: str) -> Finding:
    """It is as it should be."""
    return Finding(check, Level.OK, message)


def unknown(check: str, message: str, fix: str = "") -> Finding:
    """It could not be looked at."""
    return Finding(check, Level.UNKNOWN, message, fix)


def warning(check: str, message: str, fix: str) -> Finding:
    """It works, but not for all or not for long."""
    return Finding(check, Level.WARNING, message, fix)


def broken(check: str, message: str, fix: str) -> Finding:
    """It does not work."""
    return Finding(check, Level.BROKEN, message, fix)
