"""How a client's work can end badly; each message names the cause and what to do."""


class ClientError(Exception):
    """The session cannot be played."""


class SessionRefused(ClientError):
    """The server said no and means it."""


class SessionOver(Exception):
    """The session has ended: not an error."""
