"""How API values are declared: frozen, keyword-only, camelCase on the wire."""

from typing import Any, Self

import msgspec


class ApiValue(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=False):
    """A value of the Kubernetes API.

    Unknown members are ignored when a body is read, so that an older component survives a newer
    CRD; the API server has already refused or pruned what the CRD does not know.
    """

    @classmethod
    def from_body(cls, body: Any) -> Self:
        """Parse a JSON-like body.

        Raises:
            msgspec.ValidationError: a member has the wrong type or is out of bounds; the message
                names its path.
        """
        return msgspec.convert(body, type=cls)

    def to_body(self) -> dict[str, Any]:
        """JSON-like form without members that are unset (`None`)."""
        body = msgspec.to_builtins(self)
        assert isinstance(body, dict)
        cleaned: dict[str, Any] = _without_none(body)
        return cleaned


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_none(item) for item in value]
    return value
