"""How `podstream-image` ends: one number per kind of cause."""

from collections.abc import Mapping
from enum import IntEnum
from typing import Any, Final

import grpc


class Exit(IntEnum):
    """Exit codes; `--help` lists them."""

    DONE = 0
    SERVER = 1
    """The server failed over the picture."""
    USAGE = 2
    FILES = 3
    """A file cannot be read, written, or is no picture."""
    REFUSED = 4
    """The picture or what is asked for is wrong."""
    FORBIDDEN = 5
    """No such session, or not with this token."""
    EXHAUSTED = 6
    """Busy, or above a limit."""
    UNREACHABLE = 7
    LATE = 8
    INTERRUPTED = 130


_EXITS: Final[Mapping[grpc.StatusCode, Exit]] = {
    grpc.StatusCode.INVALID_ARGUMENT: Exit.REFUSED,
    grpc.StatusCode.OUT_OF_RANGE: Exit.REFUSED,
    grpc.StatusCode.ALREADY_EXISTS: Exit.REFUSED,
    grpc.StatusCode.ABORTED: Exit.REFUSED,
    grpc.StatusCode.UNIMPLEMENTED: Exit.REFUSED,
    grpc.StatusCode.NOT_FOUND: Exit.FORBIDDEN,
    grpc.StatusCode.UNAUTHENTICATED: Exit.FORBIDDEN,
    grpc.StatusCode.PERMISSION_DENIED: Exit.FORBIDDEN,
    grpc.StatusCode.FAILED_PRECONDITION: Exit.FORBIDDEN,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Exit.EXHAUSTED,
    grpc.StatusCode.UNAVAILABLE: Exit.UNREACHABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED: Exit.LATE,
    grpc.StatusCode.CANCELLED: Exit.LATE,
}
_ADVICE: Final[Mapping[grpc.StatusCode, str]] = {
    grpc.StatusCode.UNAUTHENTICATED: "give the token of status.access.secretName by --token-file",
    grpc.StatusCode.UNAVAILABLE: "check --host and --port, and that the session is Ready",
    grpc.StatusCode.DEADLINE_EXCEEDED: "raise --timeout, or spec.imageOps.timeoutSeconds",
    grpc.StatusCode.UNIMPLEMENTED: "the server does not have this service: try another --service",
}


class CommandError(Exception):
    """The command ends; the message names the cause and, where one is known, the cure."""

    def __init__(self, code: Exit, message: str) -> None:
        """`code` becomes the exit code."""
        super().__init__(message)
        self.code = code


def of_rpc(error: grpc.RpcError) -> CommandError:
    """A failed call as the command's end."""
    status, details = code_of(error), str(getattr(error, "details", lambda: "")() or "")
    advice = _ADVICE.get(status)
    text = f"{status.name}: {details or 'no details'}"
    exit_code = _EXITS.get(status, Exit.SERVER)
    return CommandError(exit_code, f"{text} ({advice})" if advice else text)


def code_of(error: grpc.RpcError) -> grpc.StatusCode:
    """The status of a failed call."""
    found: Any = getattr(error, "code", lambda: grpc.StatusCode.UNKNOWN)()
    return found if isinstance(found, grpc.StatusCode) else grpc.StatusCode.UNKNOWN
