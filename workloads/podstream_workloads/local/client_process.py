"""The built-in client of a local session: a process of its own, as its pod is in a cluster."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Sequence
from typing import Final

from podstream_core.api import SessionSpec

_STOP_GRACE_S: Final = 3.0
DEFAULT_COMMAND: Final = (sys.executable, "-m", "podstream_workloads.client")


class ClientProcess:
    """A running client."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(
        cls, spec: SessionSpec, *, url: str, token: str | None, command: Sequence[str]
    ) -> "ClientProcess":
        """Start the client; its output goes to standard error, away from the results.

        Raises:
            OSError: the command cannot be started.
        """
        env = dict(os.environ)
        if spec.circle is not None:
            env["PODSTREAM_CLIENT_SPEC"] = json.dumps(spec.circle.to_body())
        if token is not None:
            env["PODSTREAM_CLIENT_TOKEN"] = token
        process = await asyncio.create_subprocess_exec(
            *command,
            "--url",
            url,
            env=env,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=sys.stderr.fileno(),
            start_new_session=True,  # a terminal's Ctrl-C is for the runner
        )
        return cls(process)

    async def wait(self) -> int:
        """Exit status of the client, once it has ended."""
        return await self._process.wait()

    async def stop(self) -> None:
        """End the client if it still runs."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._process.returncode is not None:
                return
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_STOP_GRACE_S):
                    await self._process.wait()
