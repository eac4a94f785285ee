"""Requests to the Kubernetes API for the dashboard, and its refusals in the page's words."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from podstream_router.dashboard.people import Sender
from podstream_router.errors import Forbidden, Overloaded, Refusal, Rejected, UnknownSession
from podstream_router.watch import ApiError, ApiUnreachable

_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404
_TOO_MANY: Final = 429
_SERVER_FAULT: Final = 500


async def ask(
    api: Sender,
    method: str,
    path: str,
    *,
    token: str | None,
    query: Mapping[str, str] = MappingProxyType({}),
    body: Mapping[str, Any] | None = None,
    content_type: str = "application/json",
) -> bytes:
    """One request, as the person with the token, or without one as this router.

    Raises:
        Refusal: the API server refuses, or does not answer.
    """
    try:
        return await api.send(
            method, path, query=query, body=body, content_type=content_type, token=token
        )
    except (ApiError, ApiUnreachable) as error:
        raise _refuse_as(error) from error


def strictly(*, dry_run: bool) -> dict[str, str]:
    """Query of a write that is refused where a member is misspelt, instead of losing it."""
    return {"fieldValidation": "Strict", **({"dryRun": "All"} if dry_run else {})}


def _refuse_as(error: ApiError | ApiUnreachable) -> Refusal:
    """What the API server has said, for the page: validation messages as they are."""
    if isinstance(error, ApiUnreachable):
        return Overloaded("the Kubernetes API does not answer: try again")
    if error.status == _FORBIDDEN:
        return Forbidden(error.message)
    if error.status == _NOT_FOUND:
        return UnknownSession(error.message)
    if error.status == _TOO_MANY or error.status >= _SERVER_FAULT:
        return Overloaded(f"{error.message}: try again")
    return Rejected(error.message, status=error.status, causes=error.causes)
