"""What ends a command, each with the exit code that scripts see."""

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of the plugin; API, as they are used in scripts."""

    OK = 0
    FAILED = 1
    """The session failed, or doctor found something broken."""
    USAGE = 2
    """The command line or the file is wrong."""
    TIMEOUT = 3
    """The time given with --timeout is over; the session goes on."""
    REFUSED = 4
    """The cluster refused: not found, not allowed, or not valid."""
    UNREACHABLE = 5
    """No cluster answers, or kubectl is not there."""
    INTERRUPTED = 130
    """Ctrl-C; the session goes on."""


class PluginError(Exception):
    """Ends the command with a message."""

    code = ExitCode.FAILED


class UsageError(PluginError):
    """The command line or a file does not make sense."""

    code = ExitCode.USAGE


class TimeOver(PluginError):
    """--timeout has passed."""

    code = ExitCode.TIMEOUT


class Refused(PluginError):
    """The API server refused a call."""

    code = ExitCode.REFUSED


class NotFound(Refused):
    """There is no such object."""


class Forbidden(Refused):
    """The user may not do this."""


class Unreachable(PluginError):
    """kubectl is missing or reaches no cluster."""

    code = ExitCode.UNREACHABLE
