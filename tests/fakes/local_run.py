"""`podstream-run` as a process: a session without Kubernetes, from the outside."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import yaml

BIN: Final = Path(sys.executable).parent
END_TIMEOUT_S: Final = 120.0


class LocalRun:
    """The process, and what it has said."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._said: list[str] = []

    @property
    def pid(self) -> int:
        """Of the agent; the workloads are its children."""
        return self._process.pid

    def says(self, pattern: str) -> str:
        """First group of a pattern in what was said or will be."""
        assert self._process.stderr is not None
        for line in self._said:
            if found := re.search(pattern, line):
                return found[1]
        for line in self._process.stderr:
            self._said.append(line)
            if found := re.search(pattern, line):
                return found[1]
        raise AssertionError(f"no {pattern!r} in:\n{''.join(self._said)}")

    def report(self) -> dict[str, Any]:
        """What is printed at the end, once it has come."""
        out, err = self._process.communicate(timeout=END_TIMEOUT_S)
        assert self._process.returncode == 0, "".join([*self._said, err])
        return dict(json.loads(out))


@contextmanager
def local_run(manifest: dict[str, Any], folder: Path, *flags: str) -> Iterator[LocalRun]:
    """Run a session or pool; it is ended where it has not ended itself."""
    path = folder / "session.yaml"
    path.write_text(yaml.safe_dump(manifest))
    with subprocess.Popen(
        [str(BIN / "podstream-run"), str(path), *flags],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            yield LocalRun(process)
        finally:
            if process.poll() is None:
                process.terminate()
                process.communicate(timeout=30)
