"""Stock aiortc clients that watch: when their frames came, and from which pod."""

import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from e2e import kube
from e2e.pools import Pool
from e2e.sessions import Session, circle
from podstream_core.ufrag import parse_ufrag, pod_digest

T = TypeVar("T")
_CLIENT = Path(__file__).with_name("whep_stock_client.py")
_LONGEST_S = 240


def _arguments(patience_s: float) -> list[str]:
    return ["--duration", str(_LONGEST_S), "--patience", str(patience_s)]


class Viewer:
    """One client in a process of its own, which plays until the server ends its session."""

    def __init__(self, url: str, *, token: str | None = None, patience_s: float = 0) -> None:
        environment = dict(os.environ)
        if token is not None:
            environment["PODSTREAM_CLIENT_TOKEN"] = token
        self._process = subprocess.Popen(
            # -P: a module here has the name of one that the client needs.
            [sys.executable, "-P", str(_CLIENT), url, *_arguments(patience_s)],
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.frames: list[float] = []
        """Unix times of decoded frames."""
        self.refusals: list[float] = []
        """Unix times of offers that were refused or found nobody."""
        self._checks: list[float] = []
        self._connected_at: float | None = None
        self._session = ""
        self._ufrag = ""
        self._errors: list[str] = []
        self._readers = [
            threading.Thread(target=self._read, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            word, at, *more = line.split()
            match word:
                case "frame":
                    self.frames.append(float(at))
                case "checked":
                    self._checks.append(float(at))
                case "connected":
                    self._connected_at = float(at)
                case "refused":
                    self.refusals.append(float(at))
                case "answered":
                    self._session, self._ufrag = more
                case _:
                    pass  # told to people

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        self._errors.extend(self._process.stderr)

    def session(self) -> Session:
        """The session that the answer of a pool has named."""
        name = self._until(lambda: self._session, what="an answer", timeout_s=60)
        assert name != "-", "the answer names no session"
        return Session(name.removeprefix(f"{kube.NAMESPACE}/"))

    def pod_digest(self) -> str:
        """Which pod the media come from: that of the answer's ICE user name fragment.

        The pod makes the fragment from its UID; media are accepted only from the peer that proves
        to know the password beside it.
        """
        ufrag = self._until(lambda: self._ufrag, what="an answer", timeout_s=60)
        target = parse_ufrag(ufrag)
        assert target is not None, f"the answer names no pod: {ufrag}"
        return target.pod_digest

    def wait_for_frames(self, count: int = 30, *, since: float = 0, timeout_s: float = 60) -> None:
        """Wait until so many frames have come after a moment (Unix time)."""
        self._until(
            lambda: sum(at > since for at in list(self.frames)) >= count,
            what=f"{count} frames",
            timeout_s=timeout_s,
        )

    def wait_for_check(self) -> None:
        """Return right after the client has sent a consent check."""
        connected = self._until(lambda: self._connected_at, what="a connection", timeout_s=60)
        assert connected is not None
        # The first ones are those that connect.
        since = max(time.time(), connected + 3)
        self._until(
            lambda: any(at > since for at in list(self._checks)),
            what="a consent check",
            timeout_s=15,
        )

    def is_playing(self) -> bool:
        """Whether the client still runs: the server has not ended its session."""
        return self._process.poll() is None

    def wait_for_end(self, *, timeout_s: float = 70) -> None:
        """Wait until the server has ended the session."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the server did not end the session: {self._story()}") from None
        for reader in self._readers:
            reader.join(10)
        assert self._process.returncode == 0, "".join(self._errors)

    def _story(self) -> str:
        """What happened last, for a failed test."""
        now = time.time()
        ages = [
            f"{now - moments[-1]:.1f} s" if moments else "never"
            for moments in (self.frames, self._checks)
        ]
        return f"{len(self.frames)} frames, the last {ages[0]} ago, last check {ages[1]} ago"

    def longest_gap_s(self, *, since: float, until: float | None = None) -> float:
        """Longest time without a frame between two moments (Unix times; the end by default)."""
        last = until if until is not None else self.frames[-1]
        inside = [at for at in self.frames if since < at < last]
        assert len(inside) > 30, f"frames do not go on: {''.join(self._errors)}"
        moments = [since, *inside, last]
        return max(later - earlier for earlier, later in itertools.pairwise(moments))

    def end(self) -> None:
        """Kill the client, as a crashed one: it says good-bye to nobody."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(20)
        for reader in self._readers:
            reader.join(10)
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def _until(self, check: Callable[[], T], *, what: str, timeout_s: float) -> T:
        def look() -> T | None:
            found = check()
            if not found and self._process.poll() is not None:
                raise AssertionError(f"the client ended before {what}: {''.join(self._errors)}")
            return found

        found = kube.until(look, what=f"{what} at the client", timeout_s=timeout_s)
        assert found is not None
        return found


@contextmanager
def watching(made: Session) -> Iterator[Viewer]:
    """A stock client that plays a session."""
    viewer = Viewer(made.endpoint(), token=made.token())
    try:
        made.wait_phase("Connected")
        yield viewer
    finally:
        viewer.end()


@contextmanager
def watching_pool(made: Pool, *, patience_s: float = 0) -> Iterator[Viewer]:
    """A stock client that a pool gives a session of its own; it has frames."""
    viewer = Viewer(made.endpoint(), patience_s=patience_s)
    try:
        viewer.wait_for_frames(10)
        yield viewer
    finally:
        viewer.end()


def ball(frames: int = 0) -> dict[str, Any]:
    """A workload of which two busy cores carry several at both ends; its ball is green."""
    return circle(frames, width=160, height=120, fps=10, ball={"color": "#00ff00"})


def assert_not_cut(viewer: Viewer, *, since: float, longest_s: float = 3.0) -> None:
    """The stream has gone on from a moment (Unix time) until now, and does."""
    viewer.wait_for_frames(3, since=time.time(), timeout_s=longest_s)
    frames = [since, *(at for at in viewer.frames if at > since)]
    pauses = [
        f"{later - earlier:.1f} s at {earlier - since:.1f} s"
        for earlier, later in itertools.pairwise(frames)
        if later - earlier > longest_s
    ]
    assert not pauses, f"no frame for {', '.join(pauses)}"


def assert_unshared(*pairs: tuple[Viewer, Session]) -> None:
    """Every client has its media from its session's own pod, and no two have the same."""
    digests = []
    for viewer, made in pairs:
        assert viewer.pod_digest() == pod_digest(made.status["pod"]["uid"])
        digests.append(viewer.pod_digest())
    assert len(set(digests)) == len(pairs)
