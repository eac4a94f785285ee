"""Which feature maps can be compared with each other."""

from typing import Final

import msgspec

_DECODER: Final = msgspec.json.Decoder()

Scheme = tuple[str, str, str]
"""Algorithm, version and dimension."""


def scheme_of(feature_map: bytes | None) -> Scheme | None:
    """The scheme that a feature map names.

    None for maps that name none: the lists of numbers of Tracktech's processors, which pass as they
    are.
    """
    if feature_map is None or not feature_map.startswith(b"{"):
        return None
    try:
        value = _DECODER.decode(feature_map)
    except (msgspec.DecodeError, RecursionError):
        return None
    if not isinstance(value, dict) or not {"alg", "version", "dim"} <= value.keys():
        return None
    return str(value["alg"]), str(value["version"]), str(value["dim"])
