"""A set of values by a second key, which keeps nothing of what has gone."""

from collections.abc import Hashable, Iterable, Mapping
from typing import Generic, TypeVar

_G = TypeVar("_G", bound=Hashable)
_K = TypeVar("_K", bound=Hashable)
_V = TypeVar("_V")


class Index(Generic[_G, _K, _V]):
    """Values by group, and by key within the group."""

    def __init__(self) -> None:
        self._groups: dict[_G, dict[_K, _V]] = {}

    def __len__(self) -> int:
        return len(self._groups)

    def get(self, group: _G) -> Mapping[_K, _V]:
        """The values of a group, by key."""
        return self._groups.get(group, {})

    def put(self, groups: Iterable[_G], key: _K, value: _V) -> None:
        """Add or replace a value in some groups."""
        for group in groups:
            self._groups.setdefault(group, {})[key] = value

    def drop(self, groups: Iterable[_G], key: _K) -> None:
        """Take a value out of some groups."""
        for group in groups:
            members = self._groups.get(group)
            if members is None:
                continue
            members.pop(key, None)
            if not members:
                del self._groups[group]
