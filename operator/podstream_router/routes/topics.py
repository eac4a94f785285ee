"""Who waits for a change of what."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager

from podstream_core.api import PoolKey

Topic = Hashable
"""What a waiter waits for: a `SessionKey`, `listener_topic(name)` or `pool_topic(key)`."""


def listener_topic(name: str) -> Topic:
    """Changes of the sessions and pools that name this listener."""
    return ("listener", name)


def pool_topic(key: PoolKey) -> Topic:
    """Changes of this pool, its pods and the sessions of its connections."""
    return ("pool", key)


class _Wakeup:
    """One subscription; compared by identity, so equal callbacks stay apart."""

    __slots__ = ("notify",)

    def __init__(self, notify: Callable[[], None]) -> None:
        self.notify = notify


class Waiters:
    """Subscriptions by topic."""

    def __init__(self) -> None:
        self._by_topic: defaultdict[Topic, set[_Wakeup]] = defaultdict(set)

    def __len__(self) -> int:
        return len(self._by_topic)

    @contextmanager
    def subscribed(self, topic: Topic, notify: Callable[[], None]) -> Iterator[None]:
        """Call `notify` on every change of a topic while the block runs."""
        wakeup = _Wakeup(notify)
        self._by_topic[topic].add(wakeup)
        try:
            yield
        finally:
            waiters = self._by_topic[topic]
            waiters.discard(wakeup)
            if not waiters:
                del self._by_topic[topic]

    def announce(self, topics: Iterable[Topic]) -> None:
        """Tell everybody who waits for one of the topics."""
        for topic in set(topics):
            for waiter in tuple(self._by_topic.get(topic, ())):
                waiter.notify()
