"""Why the client gives up; every message names the cause and what to do about it."""


class ClientError(Exception):
    """The client cannot go on; its message is for the person who started it."""


class UsageError(ClientError):
    """The client was started with arguments or variables that cannot be used."""


class Refused(ClientError):
    """The server answered, and the answer is no."""


class Unreachable(ClientError):
    """No usable answer within the time there was."""


class SessionGone(ClientError):
    """The session, or its route, exists no more: it has ended."""


class EstimatorError(ClientError):
    """The estimator cannot work on this machine."""
