"""What keeps a pool's pods from becoming ready, in the words of its Ready condition. Pure."""

from datetime import datetime

from podstream_operator.decide.startup import startup_problem
from podstream_operator.facts import Memory, PoolObserved, Use


def pool_trouble(observed: PoolObserved, *, now: datetime) -> tuple[str, str] | None:
    """Reason and message; `None` where nothing is wrong."""
    memory = observed.memory
    if memory.secret_rejection is not None:
        return memory.secret_rejection.reason, memory.secret_rejection.message
    if memory.rejection is not None:
        return memory.rejection.reason, memory.rejection.message
    for item in observed.pods:
        if item.use is Use.STARTING:
            problem = startup_problem(
                item.pod, agent=None, memory=Memory(first_seen_at=now), now=now
            )
            if problem is not None:
                return problem.reason, problem.message
    if memory.failures:
        text = f"{memory.failures} pods in a row ended before any session had them; see the log"
        return "PodsFail", text
    return None
