"""Values of Secrets."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any


def decoded(secret: Mapping[str, Any], key: str) -> bytes:
    """Value of a Secret's key.

    Raises:
        ValueError: it is not there or not base64.
    """
    data = secret.get("data") or {}
    if key not in data:
        raise ValueError(f"the Secret has no {key}")
    try:
        return base64.b64decode(data[key], validate=True)
    except binascii.Error as error:
        raise ValueError(f"{key} is not base64") from error
