"""What the scale test measured, as text, and which bounds it missed."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from load.meter import MIB, Meter
from load.quantiles import Quantiles
from testcluster.audit import Request

STEPS = 5
_NUMBERED = re.compile(r"s-(\d{5})")


@dataclass
class Report:
    """Lines for people, and the bounds that were missed."""

    lines: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)

    def say(self, line: str = "") -> None:
        self.lines.append(line)

    def bound(self, what: str, value: float, *, at_most: float, unit: str = "") -> None:
        """State a figure beside its bound."""
        fine = value <= at_most
        line = f"{what:<58}{value:>9.2f} {unit:<8} bound {at_most:g}{'' if fine else '  MISSED'}"
        self.lines.append(line)
        if not fine:
            self.missed.append(line)

    def __str__(self) -> str:
        return "\n".join(self.lines)


def linearity(meter: Meter, *, ready_s: Sequence[float], requests: Sequence[Request]) -> list[str]:
    """One line per fifth of the sessions: what that fifth cost, and the memory at its end.

    Args:
        meter: samples of the operator while the sessions came.
        ready_s: seconds from creation to Ready, by the session's number.
        requests: API writes of podstream; the number in an object's name says for which session.
    """
    size = len(ready_s) // STEPS
    writes = Counter(_number(request) // size for request in requests)
    lines = ["sessions  RSS MiB  CPU ms/session  API writes/session  Ready after p50,  p99 ms"]
    before = meter.samples[0]
    for step in range(STEPS):
        here = meter.at_sessions((step + 1) * size)
        cpu_ms = (here.cpu_s - before.cpu_s) * 1e3 / max(here.sessions - before.sessions, 1)
        ready = Quantiles.of(ready_s[step * size : (step + 1) * size])
        lines.append(
            f"{here.sessions:>8}{here.rss / MIB:>9.0f}{cpu_ms:>16.1f}{writes[step] / size:>20.2f}"
            f"{ready.p50:>17.0f},{ready.p99:>8.0f}"
        )
        before = here
    return lines


def _number(request: Request) -> int:
    """The number in the name of the session that a request is about; -1: none."""
    found = _NUMBERED.match(request.name)
    return int(found[1]) if found else -1


def counted(requests: Iterable[Request]) -> Counter[str]:
    """Requests by what they did."""
    return Counter(
        f"{request.verb} {request.resource}"
        f"{'/' + request.subresource if request.subresource else ''} {request.code}"
        for request in requests
    )
