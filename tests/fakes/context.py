"""A workload's way to its agent that only keeps what is reported."""

import asyncio
from pathlib import Path

from podstream_core.agentapi import SessionRef
from podstream_workloads.agent import WorkloadContext
from podstream_workloads.agent.workload import MediaAddress


class Context(WorkloadContext):
    """Keeps the reports."""

    def __init__(self, folder: Path) -> None:
        self.session = SessionRef(namespace="n", name="s", uid="u")
        self.media = MediaAddress(pod_uid="u", host="127.0.0.1", first_port=1, port_count=1)
        self.artefact_dir = folder
        self.volumes_dir = folder
        self.shared_dir = folder
        self.reports: list[str] = []
        self.changed = asyncio.Event()

    def _report(self, text: str) -> None:
        self.reports.append(text)
        self.changed.set()

    async def reported(self, text: str) -> None:
        async with asyncio.timeout(20):
            while text not in self.reports:
                self.changed.clear()
                await self.changed.wait()

    def ready(self) -> None:
        self._report("ready")

    def established(self, connection_id: str) -> None:
        self._report(f"established {connection_id}")

    def lost(self, connection_id: str, *, reason: str = "") -> None:
        self._report(f"lost {connection_id}")

    def first_frame(self) -> None:
        self._report("first frame")

    def results_changed(self) -> None:
        if "results" not in self.reports:
            self._report("results")

    def done(self) -> None:
        self._report("done")

    def fail(self, reason: str, message: str) -> None:
        self._report(f"fail {reason}")
