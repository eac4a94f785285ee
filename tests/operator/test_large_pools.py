"""What a pool of thousands costs: the pods that wait are found without going through all others."""

import pytest

from fakes.clock import MovableClock
from fakes.values import IMAGE, START, make_pod, make_session, make_state
from podstream_core import names
from podstream_core.agentapi import AgentPhase
from podstream_core.api import PoolKey, StreamPool
from podstream_operator.cluster import Cache
from podstream_operator.facts import PodFacts
from podstream_operator.pools.capacity import Capacity
from podstream_operator.pools.offers import Offers
from podstream_operator.pools.view import WarmView
from podstream_operator.resources import pod_shape

KEY = PoolKey("media", "tank")
IN_USE = 200


class CountingCache(Cache):
    """Counts how often somebody goes through all pods of a pool."""

    passes = 0

    def pods_of_pool(self, key: PoolKey) -> tuple[PodFacts, ...]:
        self.passes += 1
        return super().pods_of_pool(key)


def pool_body(*, most: int) -> dict[str, object]:
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.POOL_KIND,
        "metadata": {"name": "tank", "namespace": "media", "uid": "pool", "resourceVersion": "1"},
        "spec": {"template": {"spec": {"circle": {"frames": 600}}}, "warm": 1, "max": most},
    }


def make_cache(*, most: int) -> CountingCache:
    """A pool with pods in use, and its idle one."""
    cache = CountingCache()
    cache.put_pool(pool_body(most=most))
    for number in range(IN_USE):
        cache.put_pod(in_use(number))
    cache.put_pod(idle())
    return cache


def in_use(number: int, *, version: int = 1) -> PodFacts:
    return make_pod(
        name=f"tank-{number}", uid=f"pod-{number}", pool="tank", resource_version=str(version)
    )


def idle() -> PodFacts:
    shape = pod_shape(make_session().spec, image=IMAGE)
    return make_pod(
        name="tank-idle", uid="idle", pool="tank", session="", shape=shape, ip="10.0.0.9"
    )


def make_offers(cache: Cache, warm: WarmView) -> tuple[Offers, Capacity]:
    capacity = Capacity(cache=cache, warm=warm, clock=MovableClock())
    offers = Offers(
        cache=cache, warm=warm, image=IMAGE, capacity=capacity, max_sessions_per_namespace=0
    )
    return offers, capacity


def the_pool(cache: Cache) -> StreamPool:
    known = cache.pool(KEY)
    assert known is not None
    return known.pool


def test_session_finds_the_idle_pod_without_a_pass_over_all() -> None:
    cache, warm = make_cache(most=10 * IN_USE), WarmView()
    warm.answered(idle(), make_state(AgentPhase.IDLE, pod_uid="idle", assignment_id=None))
    offers, _ = make_offers(cache, warm)
    offer = offers.offer(make_session(poolRef={"name": "tank"}))
    assert [pod.uid for pod in offer.idle] == ["idle"]
    assert offer.has_room
    assert cache.passes == 0


def test_adopted_pod_waits_no_longer() -> None:
    cache = make_cache(most=IN_USE)
    assert [pod.uid for pod in cache.warm_pods_of_pool(KEY)] == ["idle"]
    cache.put_pod(make_pod(name="tank-idle", uid="idle", pool="tank", resource_version="2"))
    assert cache.warm_pods_of_pool(KEY) == ()
    assert cache.pool_size(KEY) == IN_USE + 1


@pytest.mark.parametrize(
    ("most", "has_room", "passes"),
    [(10 * IN_USE, True, 0), (2, True, 1)],
    ids=["far from its limit", "at its limit, by pods that do not count"],
)
def test_pool_is_counted_only_near_its_limit(most: int, has_room: bool, passes: int) -> None:
    """These pods' sessions are unknown: they are leaving and do not count."""
    cache = make_cache(most=most)
    _, capacity = make_offers(cache, WarmView())
    for _ in range(3):
        assert capacity.has_room(the_pool(cache)) is has_room
    assert cache.passes == passes


def test_count_follows_what_changes() -> None:
    cache = make_cache(most=2)
    _, capacity = make_offers(cache, WarmView())
    assert capacity.has_room(the_pool(cache))
    body = {
        "metadata": {
            "name": "ball",
            "namespace": "media",
            "uid": make_pod().owner_uid,
            "resourceVersion": "5",
        },
        "spec": {"circle": {"frames": 600}},
    }
    cache.put_session(body, now=START)
    assert not capacity.has_room(the_pool(cache))
