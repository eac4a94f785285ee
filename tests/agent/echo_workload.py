"""A small real workload for the agent's tests: it echoes lines and scores each as a frame.

What the spec's numbers make it do:

* `frames`: finite, done after so many lines; 0: not finite.
* `fps` 1: reports ready only when a file `go` appears in the artefact folder.
* `fps` 2: rejects the spec.  `fps` 3: dies in `configure`.  `fps` 4: hangs when it is drained.

ECHO_LOADS_WITH in the environment is a file without which the workload does not finish to load.

What an offer's text makes it do: `bad`, `unsupported`, `crash` (SIGKILL), `silent` (media never
comes up); anything else is answered at once.
"""

import asyncio
import os
import signal
import socket
import time
from pathlib import Path

from podstream_core.api import CircleResults, SessionSpec
from podstream_workloads.agent import (
    Artefact,
    BadOffer,
    Connection,
    SpecRejected,
    UnsupportedOffer,
    Workload,
    WorkloadContext,
    WorkloadResults,
)


class EchoWorkload(Workload):
    name = "circle"
    roles = {"player": 1, "viewer": 2}

    def __init__(self) -> None:
        path = os.environ.get("ECHO_LOADS_WITH", "")
        while path and not Path(path).exists():
            time.sleep(0.02)  # as the import of large libraries does
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._scored = 0
        self._artefacts: tuple[Artefact, ...] = ()

    async def configure(self, spec: SessionSpec, context: WorkloadContext) -> None:
        assert spec.circle is not None
        self._context = context
        self._frames = spec.circle.frames
        self._hangs = spec.circle.fps == 4
        match spec.circle.fps:
            case 1:
                self._waiting = asyncio.create_task(self._wait_for(context.artefact_dir / "go"))
            case 2:
                raise SpecRejected("fps 2 is not possible")
            case 3:
                os._exit(3)
            case _:
                context.ready()
        print(f"echo configured for {context.session.key} at {context.media.host}")

    async def _wait_for(self, path: Path) -> None:
        while True:
            await asyncio.sleep(0.02)
            if await asyncio.to_thread(path.exists):
                self._context.ready()
                return

    @property
    def is_finite(self) -> bool:
        return self._frames > 0

    async def connect_whep(self, connection: Connection, *, offer_sdp: str) -> str:
        if "bad" in offer_sdp:
            raise BadOffer("the offer is bad")
        if "unsupported" in offer_sdp:
            raise UnsupportedOffer("no codec in common")
        if "crash" in offer_sdp:
            os.kill(os.getpid(), signal.SIGKILL)
        if "silent" not in offer_sdp:
            self._context.established(connection.id)
            self._context.first_frame()
        return f"v=0\r\ns={connection.id}\r\n"

    async def connect_stream(self, connection: Connection, *, sock: socket.socket) -> None:
        self._context.established(connection.id)
        self._tasks[connection.id] = asyncio.create_task(self._echo(connection, sock))

    async def _echo(self, connection: Connection, sock: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=sock)
        try:
            while line := await reader.readline():
                self._scored += 1
                writer.write(line)
                await writer.drain()
                self._context.results_changed()
                if self._scored == self._frames:
                    self._context.done()
        finally:
            writer.close()
            self._tasks.pop(connection.id, None)
            self._context.lost(connection.id, reason="end of stream")

    async def move_media(self, *, port: int, address: tuple[str, int]) -> bool:
        print(f"echo moves {port} to {address}", flush=True)
        return port == 20003

    async def disconnect(self, connection_id: str) -> None:
        task = self._tasks.get(connection_id)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def results(self) -> WorkloadResults:
        return WorkloadResults(CircleResults(frames_scored=self._scored), self._artefacts)

    async def drain(self) -> None:
        if self._hangs:
            time.sleep(60)  # noqa: ASYNC251 - the whole process hangs, as a stuck codec would
        for connection_id in list(self._tasks):
            await self.disconnect(connection_id)
        path = self._context.artefact_dir / "lines.txt"
        path.write_text(f"{self._scored} lines\n")
        self._artefacts = (Artefact("lines.txt", path),)
