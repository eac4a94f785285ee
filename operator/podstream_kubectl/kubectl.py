"""Runs kubectl: JSON in, JSON out, and its refusals as exceptions."""

import json
import os
import re
import select
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, Self

from podstream_kubectl.errors import Forbidden, NotFound, Refused, Unreachable

CALL_TIMEOUT_S: Final = 60.0
"""For one call; kubectl's own --request-timeout ends a silent server before."""
REQUEST_TIMEOUT_S: Final = 20
_CHUNK: Final = 65536
_SERVER_ERROR: Final = re.compile(r"Error from server \((\w+)\)")
_UNREACHABLE: Final = (
    "Unable to connect to the server",
    "was refused - did you specify the right host",
    "context was not found",
    "no configuration has been provided",
    "couldn't get current server API group list",
)

Body = dict[str, Any]


class Events(Protocol):
    """An open watch."""

    def __enter__(self) -> Self:
        """Keep it open."""

    def __exit__(self, *_: object) -> None:
        """Close it."""

    def wait(self, *, timeout_s: float) -> list[Body]:
        """Objects that came; empty after the time.

        Raises:
            EOFError: the server has ended the watch.
        """


class Api(Protocol):
    """What commands need of a cluster."""

    @property
    def namespace(self) -> str:
        """The namespace that the command is about."""

    def get(self, *arguments: str, cluster_wide: bool = False) -> Body:
        """`kubectl get ... -o json`."""

    def raw(self, path: str) -> Body:
        """JSON of a path of the API."""

    def create(self, body: Mapping[str, Any]) -> Body:
        """Create an object; unknown fields are refused."""

    def patch(self, kind: str, name: str, *, patch: Mapping[str, Any]) -> Body:
        """JSON merge patch."""

    def delete(self, kind: str, name: str) -> None:
        """Delete without waiting for the end of what it owns."""

    def logs(self, pod: str, *arguments: str) -> str:
        """Log of all containers of a pod."""

    def follow(self, pod: str, *arguments: str) -> int:
        """Print a pod's log until it ends; kubectl's exit code."""

    def watch(self, *arguments: str) -> Events:
        """Objects as they are and whenever one changes."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Which cluster and namespace, as options of kubectl."""

    namespace: str | None = None
    context: str | None = None
    kubeconfig: str | None = None

    def flags(self) -> list[str]:
        """Options that select cluster and user."""
        flags = [f"--context={self.context}"] if self.context else []
        return [*flags, *([f"--kubeconfig={self.kubeconfig}"] if self.kubeconfig else [])]


class Kubectl:
    """The kubectl of this machine."""

    def __init__(self, scope: Scope, *, program: str = "kubectl") -> None:
        self._program = program
        self._flags = scope.flags()
        self._namespace = scope.namespace

    @property
    def namespace(self) -> str:
        """As given, else that of the current context."""
        if self._namespace is None:
            template = "-o=jsonpath={..namespace}"
            found = self._run("config", "view", "--minify", template)
            self._namespace = found.strip() or "default"
        return self._namespace

    def get(self, *arguments: str, cluster_wide: bool = False) -> Body:
        """`kubectl get ... -o json`.

        Raises:
            NotFound: no such object, or no such kind.
            Refused: for another reason.
            Unreachable: no cluster.
        """
        return self._json("get", *arguments, "-o=json", namespaced=not cluster_wide)

    def raw(self, path: str) -> Body:
        """JSON of a path of the API; errors as those of `get`."""
        return self._json("get", f"--raw={path}", namespaced=False)

    def create(self, body: Mapping[str, Any]) -> Body:
        """Create an object. Errors as those of `get`."""
        text = json.dumps(body)
        return self._json("create", "-f=-", "-o=json", "--validate=strict", stdin=text)

    def patch(self, kind: str, name: str, *, patch: Mapping[str, Any]) -> Body:
        """JSON merge patch. Errors as those of `get`."""
        text = json.dumps(patch)
        return self._json("patch", kind, name, "--type=merge", f"--patch={text}", "-o=json")

    def delete(self, kind: str, name: str) -> None:
        """Delete without waiting. Errors as those of `get`."""
        self._run("delete", kind, name, "--wait=false", namespaced=True)

    def logs(self, pod: str, *arguments: str) -> str:
        """Log of all containers of a pod. Errors as those of `get`."""
        return self._run("logs", pod, "--all-containers", *arguments, namespaced=True)

    def follow(self, pod: str, *arguments: str) -> int:
        """Print a pod's log until it ends; kubectl's exit code."""
        command = self._command("logs", pod, "--all-containers", "-f", *arguments, namespaced=True)
        return subprocess.run(command, check=False).returncode

    def watch(self, *arguments: str) -> "Watch":
        """`kubectl get -w`; ends when the server ends it, which it does after some minutes."""
        command = self._command("get", *arguments, "-w", "-o=json", namespaced=True, timed=False)
        return Watch(command)

    def _json(self, *arguments: str, namespaced: bool = True, stdin: str | None = None) -> Body:
        text = self._run(*arguments, namespaced=namespaced, stdin=stdin)
        try:
            body: Body = json.loads(text)
        except json.JSONDecodeError as error:
            raise Refused(f"kubectl {arguments[0]} answered no JSON: {text[:200]}") from error
        return body

    def _command(self, *arguments: str, namespaced: bool, timed: bool = True) -> list[str]:
        scope = [f"--namespace={self.namespace}"] if namespaced else []
        limit = [f"--request-timeout={REQUEST_TIMEOUT_S}s"] if timed else []
        return [self._program, *self._flags, *scope, *limit, *arguments]

    def _run(self, *arguments: str, namespaced: bool = False, stdin: str | None = None) -> str:
        command = self._command(*arguments, namespaced=namespaced)
        try:
            done = subprocess.run(
                command,
                input=stdin,
                stdin=subprocess.DEVNULL if stdin is None else None,
                capture_output=True,
                text=True,
                check=False,
                timeout=CALL_TIMEOUT_S,
            )
        except FileNotFoundError as error:
            raise Unreachable("kubectl is not on PATH: install it, this plugin runs it") from error
        except subprocess.TimeoutExpired as error:
            raise Unreachable(f"no answer from the cluster within {CALL_TIMEOUT_S:g} s") from error
        if done.returncode:
            raise problem_of(done.stderr.strip() or done.stdout.strip())
        return done.stdout


def problem_of(text: str) -> Refused | Unreachable:
    """The exception for what kubectl has written to standard error."""
    words = "\n".join(line for line in text.splitlines() if not line.startswith("Warning:"))
    words = words or text or "kubectl failed without a word"
    reason = _SERVER_ERROR.search(words)
    if reason is not None and reason.group(1) == "NotFound":
        return NotFound(words)
    if reason is not None and reason.group(1) == "Forbidden":
        return Forbidden(words)
    if "the server doesn't have a resource type" in words or "no matches for kind" in words:
        return NotFound(f"{words}: is podstream installed here? try: kubectl podstream doctor")
    if any(sign in words for sign in _UNREACHABLE):
        return Unreachable(words)
    return Refused(words)


class Watch:
    """Objects that `kubectl get -w` prints; a context manager that ends the process."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = list(command)
        self._reader = Documents()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start kubectl.

        Raises:
            Unreachable: it is not there.
        """
        try:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except FileNotFoundError as error:
            raise Unreachable("kubectl is not on PATH") from error
        return self

    def __exit__(self, *_: object) -> None:
        """End kubectl."""
        if self._process is not None:
            if self._process.poll() is None:
                self._process.kill()
            self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()

    def wait(self, *, timeout_s: float) -> list[Body]:
        """Objects that came; empty after the time.

        Raises:
            EOFError: the server has ended the watch.
        """
        assert self._process is not None
        assert self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        deadline = time.monotonic() + timeout_s
        while True:
            left = max(0.0, deadline - time.monotonic())
            if not select.select([pipe], [], [], left)[0]:
                return []
            chunk = os.read(pipe, _CHUNK)
            if not chunk:
                raise EOFError
            found = list(self._reader.feed(chunk))
            if found:
                return found


class Documents:
    """Splits a stream of JSON objects without any separator that can be relied on."""

    def __init__(self) -> None:
        self._text = ""
        self._rest = b""
        self._decoder = json.JSONDecoder()

    def feed(self, chunk: bytes) -> Iterator[Body]:
        """Take bytes; give the objects that are whole now."""
        self._rest += chunk
        # A chunk may end within a character; all before the last line break is whole.
        whole, newline, self._rest = self._rest.rpartition(b"\n")
        self._text += (whole + newline).decode()
        while self._text.strip():
            self._text = self._text.lstrip()
            try:
                body, end = self._decoder.raw_decode(self._text)
            except json.JSONDecodeError:
                return
            self._text = self._text[end:]
            yield body
