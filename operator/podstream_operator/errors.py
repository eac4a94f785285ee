"""Failures that the operator's parts tell each other."""


class OperatorError(Exception):
    """Base of all failures that have a name here."""


class ConfigError(OperatorError):
    """The operator cannot start: the message says which setting, file or resource is wrong."""


class LeadershipLost(OperatorError):
    """Another operator leads, or may lead from now on: this process has to end."""


class ApiError(OperatorError):
    """A call to the Kubernetes API failed."""


class ApiUnavailable(ApiError):
    """Worth repeating: no connection, a timeout, 429 or a 5xx answer."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        """The server's wish, where it named one."""


class NotLeading(ApiUnavailable):
    """Not sent, because this process does not hold the Lease at the moment."""


class ApiRejected(ApiError):
    """Refused for a cause that lies in the request or in the cluster's policies."""

    def __init__(self, *, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        """As in `metav1.Status`: Forbidden, Invalid, …."""
        self.message = message


class ApiConflict(ApiError):
    """409: it exists already, or what we knew of it is out of date."""
