"""Why the agent refuses a call: one exception that carries the answer."""

from podstream_core.agentapi import ErrorBody


class Refusal(Exception):
    """An answer other than success: HTTP status, stable code, cause and fix."""

    def __init__(self, status: int, error: str, message: str) -> None:
        super().__init__(f"{error}: {message}")
        self.status = status
        self.body = ErrorBody(error=error, message=message)


class SettingsError(Exception):
    """The environment lacks something or holds a value that cannot be read."""


def describe_group(group: BaseExceptionGroup[BaseException]) -> str:
    """The causes in a group of exceptions, however nested, in one line."""
    causes = [
        describe_group(item) if isinstance(item, BaseExceptionGroup) else str(item)
        for item in group.exceptions
    ]
    return "; ".join(dict.fromkeys(causes))
