"""Owns the processes under the agent: starts them, learns of their end, reaps orphans.

All through SIGCHLD on the event loop. As process 1 of a container the agent also inherits
processes that others have left behind; they are collected so that none stays a zombie.
"""

import asyncio
import logging
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ManagedProcess:
    """A process that the agent has started."""

    popen: subprocess.Popen[bytes]
    exited: asyncio.Future[int]
    """Return code as `subprocess` gives it: negative for a signal."""

    @property
    def pid(self) -> int:
        """Process id; only meaningful until `exited` is done."""
        return self.popen.pid

    def send_signal(self, number: signal.Signals) -> None:
        """Signal the process if it still runs."""
        if not self.exited.done():
            self.popen.send_signal(number)


class ProcessTable:
    """Every process that runs under the agent."""

    def __init__(self, *, adopts_orphans: bool) -> None:
        """`adopts_orphans`: also collect children that this table did not start."""
        self._adopts_orphans = adopts_orphans
        self._processes: dict[int, ManagedProcess] = {}

    def open(self) -> None:
        """Begin to listen for SIGCHLD; needs the main thread's running loop."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self._reap)
        self._reap()

    def close(self) -> None:
        """Stop to listen."""
        asyncio.get_running_loop().remove_signal_handler(signal.SIGCHLD)

    def spawn(
        self, command: Sequence[str], *, env: Mapping[str, str], pass_fds: Sequence[int]
    ) -> ManagedProcess:
        """Start a process in a session of its own, so that a terminal's Ctrl-C misses it."""
        popen = subprocess.Popen(
            list(command),
            env=dict(env),
            pass_fds=tuple(pass_fds),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        process = ManagedProcess(popen, asyncio.get_running_loop().create_future())
        self._processes[popen.pid] = process
        return process

    def _reap(self) -> None:
        for process in list(self._processes.values()):
            code = process.popen.poll()
            if code is not None:
                del self._processes[process.pid]
                if not process.exited.done():
                    process.exited.set_result(code)
        if self._adopts_orphans:
            self._reap_orphans()

    def _reap_orphans(self) -> None:
        while True:
            try:
                # WNOWAIT only looks: the end of a process of ours belongs to its Popen.
                info = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if info is None:
                return
            if info.si_pid in self._processes:
                # It ended after the poll above; its own SIGCHLD is already pending.
                return
            os.waitpid(info.si_pid, 0)
            logger.debug("reaped orphan", extra={"pid": info.si_pid})


def describe_exit(code: int) -> str:
    """A return code in words: `SIGKILL`, or `exit status 3`."""
    if code >= 0:
        return f"exit status {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
