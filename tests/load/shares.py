"""Who took the processors between two moments: a burst on a small machine is a queue for them."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psutil

KNOWN: Final = {
    "podstream-operator": "operator",
    "podstream-router": "router",
    "podstream-agent": "session pods",
    "podstream_workloads.agent": "session pods",
    "kube-apiserver": "API server",
    "etcd": "etcd",
    "calico-felix": "network policy",
    "kubelet": "kubelet",
    "containerd": "containerd",
    "kube-": "other control plane",
}
"""Part of a command line, and what it is; the first that fits counts."""
_REST: Final = "everything else"


class Shares(defaultdict[str, float]):
    """CPU seconds by who took them."""

    def __init__(self) -> None:
        super().__init__(float)

    def per(self, count: int) -> str:
        """A line of milliseconds for each of `count` sessions, largest first."""
        largest = sorted(self.items(), key=lambda item: -item[1])
        parts = (f"{name} {seconds / count * 1e3:.0f}" for name, seconds in largest)
        return f"{sum(self.values()) / count * 1e3:.0f} ms: {', '.join(parts)}"


@contextmanager
def shares() -> Iterator[Shares]:
    """CPU that was taken within the block, filled in at its end.

    Children that have ended count for the parent that waited for them, as the kernel does it.
    """
    taken = Shares()
    before = {process: seconds for process, _, seconds in _processes()}
    yield taken
    for process, name, seconds in _processes():
        taken[name] += max(0.0, seconds - before.get(process, 0.0))


def _processes() -> Iterator[tuple[psutil.Process, str, float]]:
    for process in psutil.process_iter():
        try:
            command, times = " ".join(process.cmdline()), process.cpu_times()
        except psutil.Error:
            continue  # it has ended
        name = next((name for part, name in KNOWN.items() if part in command), _REST)
        yield process, name, sum(times[:4])
