"""Results as flat rows: one figure a row, with its unit."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from podstream_core.api.session import WORKLOADS
from podstream_kubectl.sessions import Session

_UNITS: Final = (
    ("Px", "px"),
    ("Ms", "ms"),
    ("Ratio", "1"),
    ("Seconds", "s"),
    ("PerSecond", "1/s"),
    ("Kbps", "kbit/s"),
    ("Bytes", "B"),
)
_WHOLE: Final = {
    "fps": "1/s",
    "seconds": "s",
    "milliseconds": "ms",
    "size": "B",
    "bytes": "B",
    "pixels": "px",
}
_BYTES: Final = re.compile(r"^bytes[A-Z]")


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value."""

    namespace: str
    session: str
    workload: str
    figure: str
    """Path below the workload, such as `latencyMs.p95`."""
    value: Any
    unit: str


def figures_of(session: Session) -> Iterator[Figure]:
    """All figures of a session, in the order of its status."""
    for workload in WORKLOADS:
        for path, value in _flatten(session.results.get(workload) or {}):
            yield Figure(
                session.namespace, session.name, workload, path, value, unit_of(path, value)
            )


def _flatten(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, member in value.items():
            yield from _flatten(member, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from _flatten(member, f"{path}[{index}]")
    else:
        yield path, value


def unit_of(path: str, value: Any) -> str:
    """Unit that a figure's name says; counts and words have none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    for name in reversed(path.split(".")):
        if name in _WHOLE:
            return _WHOLE[name]
        if _BYTES.match(name):
            return "B"
        for suffix, unit in _UNITS:
            if name.endswith(suffix):
                return unit
    return ""


def text_of(value: Any) -> str:
    """A value for people: four digits that count."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else str(value)
