"""Where the time of a frame goes: calls of a method, added up by the watch."""

import functools
import time
from typing import Any


def timed(owner: Any, name: str, stages: dict[str, float], *, stage: str) -> None:
    """Have the time of every call of a method added to a stage, seconds.

    Args:
        owner: class or object whose method is replaced.
        name: of the method.
        stages: where the sum is kept.
        stage: its name there.
    """
    stock = getattr(owner, name)
    stages.setdefault(stage, 0.0)

    @functools.wraps(stock)
    def call(*args: Any, **kwargs: Any) -> Any:
        begun = time.monotonic()
        try:
            return stock(*args, **kwargs)
        finally:
            stages[stage] += time.monotonic() - begun

    setattr(owner, name, call)


def means(before: dict[str, float], after: dict[str, float], *, frames: int) -> dict[str, float]:
    """Milliseconds of each stage a frame, between two looks at the sums."""
    return {
        stage: round(1e3 * (total - before.get(stage, 0.0)) / max(1, frames), 3)
        for stage, total in after.items()
    }
