"""Kubernetes quantities and the merge of a session's resources with the defaults."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

_QUANTITY = re.compile(r"([+-]?\d+(?:\.\d*)?|[+-]?\.\d+)([a-zA-Z]*|[eE][+-]?\d+)\Z")
_SUFFIXES: Final = {
    "": Decimal(1),
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "P": Decimal(10**15),
    "E": Decimal(10**18),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
    "Pi": Decimal(2**50),
    "Ei": Decimal(2**60),
}


def parse_quantity(text: str | int) -> Decimal:
    """Value of a quantity, as `250m` or `1.5Gi`.

    Raises:
        ValueError: not a quantity.
    """
    match = _QUANTITY.match(str(text))
    if match is None:
        raise ValueError(f"{text!r} is not a Kubernetes quantity")
    number, suffix = match.groups()
    if suffix in _SUFFIXES:
        return Decimal(number) * _SUFFIXES[suffix]
    if suffix[:1] in ("e", "E") and suffix[1:]:
        return Decimal(number) * Decimal(10) ** int(suffix[1:])
    raise ValueError(f"{text!r} has an unknown suffix")


def merge_resources(
    *,
    requests: Mapping[str, str | int],
    limits: Mapping[str, str | int],
    default_requests: Mapping[str, str],
    default_limits: Mapping[str, str],
) -> dict[str, dict[str, str]]:
    """Requests and limits of a container: the session's where it names a resource, else defaults.

    A default never contradicts what the session asked for: with a limit below the default request
    the request becomes that limit, with a request above the default limit the limit becomes that
    request. So every resource that has a default limit stays bounded.
    """
    merged_requests = {**default_requests, **{key: str(item) for key, item in requests.items()}}
    merged_limits = {**default_limits, **{key: str(item) for key, item in limits.items()}}
    for name in merged_requests.keys() & merged_limits.keys():
        if parse_quantity(merged_requests[name]) <= parse_quantity(merged_limits[name]):
            continue
        if name in limits and name not in requests:
            merged_requests[name] = merged_limits[name]
        elif name in requests and name not in limits:
            merged_limits[name] = merged_requests[name]
    return {"requests": merged_requests, "limits": merged_limits}
