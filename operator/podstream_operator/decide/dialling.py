"""When is the agent asked again?"""

from typing import Final

_STEPS: Final = ((40, 0.05), (80, 0.1), (120, 0.25))
"""(calls so far, seconds): 2 s at 50 ms, 4 s at 100 ms, 10 s at 250 ms, then one a second.

An agent is up within a second of its container's start; what is later than that is no longer
worth twenty connections a second.
"""
_SLOWEST_S: Final = 1.0


def dial_delay_s(dials: int) -> float:
    """Seconds until the next call to an agent that was not ready in so many calls."""
    return next((delay for limit, delay in _STEPS if dials < limit), _SLOWEST_S)
