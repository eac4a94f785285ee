"""Every way a connection can be refused, as one exception with a body for the client.

A refusal names its cause and what to do about it. HTTP listeners send it as
`{"error": …, "message": …}` with its status; protocols that have no such answer close the
connection and log it.
"""

from collections.abc import Mapping, Sequence
from typing import Final

OVERLOAD_RETRY_S: Final = 5
"""Seconds after which a client may try again, as `Retry-After`."""


class TryAgain(Exception):
    """The pod cannot take the connection yet: it does not answer, or its workload starts."""


class Refusal(Exception):
    """A connection is not taken to a pod."""

    status: int = 500
    """HTTP status."""
    error: str = "Internal"
    """Stable CamelCase code; also the `result` label of the connection counter."""

    def __init__(self, message: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.headers: Mapping[str, str] = headers or {}
        self.details: Mapping[str, object] = {}
        """More members of the answer's body."""


class BadRequest(Refusal):
    """The request cannot be read."""

    status, error = 400, "BadRequest"


class BadOffer(Refusal):
    """The session description is malformed."""

    status, error = 400, "BadOffer"


class Unauthorized(Refusal):
    """No token, or one that is not acceptable."""

    status, error = 401, "Unauthorized"

    def __init__(self, message: str) -> None:
        super().__init__(message, headers={"WWW-Authenticate": 'Bearer realm="podstream"'})


class WrongSession(Refusal):
    """A good token, but for another session."""

    status, error = 403, "WrongSession"


class Forbidden(Refusal):
    """A known person, who may not do this."""

    status, error = 403, "Forbidden"


class UnknownSession(Refusal):
    """No such StreamSession."""

    status, error = 404, "UnknownSession"


class UnknownPool(Refusal):
    """No such StreamPool, or none any more."""

    status, error = 404, "UnknownPool"


class UnknownConnection(Refusal):
    """The session has no such connection."""

    status, error = 404, "UnknownConnection"


class UnknownArtefact(Refusal):
    """The session has finished no such file."""

    status, error = 404, "UnknownArtefact"


class RangeNotSatisfiable(Refusal):
    """The part of a file that is asked for lies behind its end."""

    status, error = 416, "RangeNotSatisfiable"


class RequestTimeout(Refusal):
    """The client sends its body too slowly."""

    status, error = 408, "RequestTimeout"

    def __init__(self, message: str) -> None:
        super().__init__(message, headers={"Connection": "close"})


class SessionEnded(Refusal):
    """The session is over."""

    status, error = 410, "SessionEnded"


class UnknownRole(Refusal):
    """The session has no place of this kind."""

    status, error = 404, "UnknownRole"


class TooLarge(Refusal):
    """The body is larger than any session description."""

    status, error = 413, "TooLarge"


class UnsupportedMediaType(Refusal):
    """Another content type than the protocol's."""

    status, error = 415, "UnsupportedMediaType"


class Rejected(Refusal):
    """The Kubernetes API refuses what a person asks for, in its own words."""

    error = "Rejected"

    def __init__(self, message: str, *, status: int, causes: Sequence[Mapping[str, str]]) -> None:
        """`causes`: what is wrong with which field."""
        super().__init__(message)
        self.status = status
        self.details = {"causes": list(causes)}


class UnsupportedOffer(Refusal):
    """The session cannot serve this offer."""

    status, error = 422, "UnsupportedOffer"


class TooManyRequests(Refusal):
    """One source asks for too much."""

    status, error = 429, "TooManyRequests"

    def __init__(self, message: str) -> None:
        super().__init__(message, headers={"Retry-After": "1"})


class HeadTooLarge(Refusal):
    """The request's head is larger than any that is in order."""

    status, error = 431, "HeadTooLarge"


class UnsupportedVersion(Refusal):
    """Another version of HTTP."""

    status, error = 505, "UnsupportedVersion"


class PodFailed(Refusal):
    """The session's pod does not keep the contract."""

    status, error = 502, "PodFailed"


class _Unavailable(Refusal):
    status = 503

    def __init__(self, message: str, *, retry_after_s: int = OVERLOAD_RETRY_S) -> None:
        super().__init__(message, headers={"Retry-After": str(retry_after_s)})


class Busy(_Unavailable):
    """The session's slot is taken, or every pod that the pool may have."""

    error = "Busy"


class NotReady(_Unavailable):
    """The session had no pod that takes connections within the hold timeout."""

    error = "NotReady"


class LoginUnavailable(_Unavailable):
    """Tokens of Kubernetes cannot be reviewed."""

    error = "LoginUnavailable"


class Overloaded(_Unavailable):
    """The router is at one of its limits."""

    error = "Overloaded"


class ShuttingDown(_Unavailable):
    """This replica is going away; another one serves the retry."""

    error = "ShuttingDown"

    def __init__(self) -> None:
        super().__init__("this router is shutting down: connect again", retry_after_s=1)
