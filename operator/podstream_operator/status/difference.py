"""The smallest JSON merge patch (RFC 7396) that turns one status into another."""

from typing import Any


def merge_patch(current: dict[str, Any], desired: dict[str, Any]) -> dict[str, Any]:
    """Patch from the object as it is stored to what it should be; empty where they are equal.

    Members that are stored but not desired become `null`, so that a status that was edited by
    hand is repaired whatever was added to it. Lists are replaced as a whole.
    """
    patch: dict[str, Any] = dict.fromkeys(current.keys() - desired.keys())
    for key, value in desired.items():
        before = current.get(key)
        if isinstance(before, dict) and isinstance(value, dict):
            inner = merge_patch(before, value)
            if inner:
                patch[key] = inner
        elif key not in current or before != value:
            patch[key] = value
    return patch
