"""The part of an access Secret that the operator judges."""

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from podstream_core import names


@dataclass(frozen=True, slots=True)
class SecretFacts:
    """Who owns an access Secret and until when its token opens the session."""

    name: str
    uid: str
    owner_uid: str | None
    """UID of the controller in the owner references."""
    managed: bool
    """Whether the labels name this operator."""
    expires_at: datetime | None
    """End of the token; `None` where the Secret holds no readable token."""

    @classmethod
    def from_body(cls, body: dict[str, Any]) -> Self:
        """Read a Secret."""
        metadata = body["metadata"]
        labels = metadata.get("labels") or {}
        return cls(
            name=metadata["name"],
            uid=metadata.get("uid", ""),
            owner_uid=controller_uid(metadata),
            managed=labels.get(names.LABEL_MANAGED_BY) == names.FIELD_MANAGER,
            expires_at=_expiry((body.get("data") or {}).get(names.SECRET_TOKEN_KEY)),
        )


def controller_uid(metadata: dict[str, Any]) -> str | None:
    """UID of the controller among the owner references."""
    for reference in metadata.get("ownerReferences") or []:
        if reference.get("controller"):
            return str(reference["uid"])
    return None


def controller_name(metadata: dict[str, Any], *, kind: str) -> str:
    """Name of the controller, where it is of this kind of ours; else empty."""
    for reference in metadata.get("ownerReferences") or []:
        if reference.get("controller") and reference.get("kind") == kind:
            group = str(reference.get("apiVersion", "")).partition("/")[0]
            return str(reference.get("name", "")) if group == names.GROUP else ""
    return ""


def _expiry(encoded_token: str | None) -> datetime | None:
    """When a token ends. The signature is the router's business: here it is our own token."""
    if not encoded_token:
        return None
    try:
        payload = base64.b64decode(encoded_token).split(b".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)))
        return datetime.fromtimestamp(claims["exp"], UTC)
    except (binascii.Error, ValueError, KeyError, IndexError, TypeError):
        return None
