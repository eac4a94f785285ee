"""Writes the termination record in place, often enough that a killed container leaves its state."""

import logging
import os
from pathlib import Path

from podstream_core.agentapi import AgentState
from podstream_core.termination import encode_termination

logger = logging.getLogger(__name__)


class TerminationLog:
    """The one file that outlives the pod's network. Writing never fails the session."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._last = b""
        self._is_broken = False

    def write(self, state: AgentState) -> None:
        """Replace the record, unless it says the same already."""
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
