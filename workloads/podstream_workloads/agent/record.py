"""Writes the termination record in place, often enough that a killed container leaves its state."""

import asyncio
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from podstream_core.agentapi import AgentState
from podstream_core.termination import encode_termination

logger = logging.getLogger(__name__)

PERIOD_S: Final = 1.0
"""Live figures are written at most this often; phases at once."""


class TerminationLog:
    """The one file that outlives the pod's network. Writing never fails the session."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._last = b""
        self._is_broken = False
        self._timer: asyncio.TimerHandle | None = None
        self._written_at = -PERIOD_S

    def write_soon(self, state: Callable[[], AgentState]) -> None:
        """Replace the record within `PERIOD_S`; for changes that come often."""
        if self._timer is None:
            loop = asyncio.get_running_loop()
            wait_s = max(0.0, self._written_at + PERIOD_S - time.monotonic())
            self._timer = loop.call_later(wait_s, lambda: self.write(state()))

    def write(self, state: AgentState) -> None:
        """Replace the record now, unless it says the same already."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._written_at = time.monotonic()
        try:
            record = encode_termination(state)
            if record == self._last:
                return
            fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                os.pwrite(fd, record, 0)
            finally:
                os.close(fd)
        except (OSError, ValueError) as error:
            if not self._is_broken:
                logger.error("termination record cannot be written to %s: %s", self._path, error)
            self._is_broken = True
        else:
            self._last = record
            self._is_broken = False
