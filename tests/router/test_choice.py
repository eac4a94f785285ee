from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from podstream_core.api import SessionKey
from podstream_router.claims.choice import Plan, count_in_use, idle_pods, plan_claims
from podstream_router.routes import PodRoute
from router.harness import EPOCH, idle_pod, pool_route

POOL = pool_route(max=4, shape="new")


def idle(uid: str, **changes: Any) -> PodRoute:
    return idle_pod(POOL, **{"uid": uid, "shape": "new", **changes})


def used(uid: str) -> PodRoute:
    return idle(uid, owner_uid="a session", session=SessionKey("lab", f"media-{uid}"))


def tried(
    *pods: PodRoute,
    taken: tuple[str, ...] = (),
    resting: tuple[str, ...] = (),
    router: str = "router-a",
) -> list[str]:
    """UIDs in the order of the attempts."""
    found = idle_pods(
        POOL,
        pods=pods,
        is_taken=lambda uid: uid in taken,
        is_resting=lambda uid: uid in resting,
        salt=router,
    )
    return [pod.uid for pod in found]


def in_use(*pods: PodRoute, taken: tuple[str, ...] = (), ended: tuple[str, ...] = ()) -> int:
    return count_in_use(
        pods, is_taken=lambda uid: uid in taken, has_ended=lambda pod: pod.uid in ended
    )


def test_pods_that_somebody_has_or_that_do_not_run_are_not_tried() -> None:
    starting = idle("starting", running=False, ready=False)
    assert tried(idle("a"), idle("b"), idle("c"), starting, taken=("b",), resting=("c",)) == ["a"]


def test_pods_that_somebody_has_count_until_their_session_has_ended() -> None:
    starting = idle("starting", running=False, ready=False)
    pods = (idle("a"), idle("b"), starting, used("c"), used("d"))
    assert in_use(*pods) == 2
    assert in_use(*pods, taken=("b",)) == 3
    assert in_use(*pods, taken=("b",), ended=("c",)) == 2


def test_current_shape_comes_first_then_the_oldest() -> None:
    pods = [
        idle("young", created=EPOCH + timedelta(seconds=9)),
        idle("old-shape", shape="old", created=EPOCH),
        idle("old", created=EPOCH + timedelta(seconds=1)),
    ]
    assert tried(*pods) == ["old", "young", "old-shape"]


def test_pod_that_is_not_ready_yet_is_tried_after_all_others() -> None:
    pods = [idle("up", ready=False, created=EPOCH), idle("old-shape", shape="old")]
    assert tried(*pods) == ["old-shape", "up"]


def test_routers_prefer_different_pods_of_one_second() -> None:
    pods = [idle(f"pod-{number}") for number in range(20)]
    orders = [tried(*pods, router=f"router-{number}") for number in range(10)]
    assert all(set(order) == {pod.uid for pod in pods} for order in orders)
    assert len({order[0] for order in orders}) > 3


@pytest.mark.parametrize(
    ("idle_count", "used_count", "waiting", "expected"),
    [
        pytest.param(2, 0, 1, (1, 1), id="enough-for-all"),
        pytest.param(2, 0, 3, (2, 3), id="the-third-waits-for-a-new-pod"),
        pytest.param(0, 3, 2, (0, 1), id="only-one-more-may-ever-be-started"),
        pytest.param(0, 4, 2, (0, 0), id="at-the-maximum"),
        pytest.param(1, 3, 2, (1, 1), id="the-last-pod-and-no-hope-for-the-second"),
        pytest.param(1, 9, 1, (1, 1), id="an-idle-pod-serves-though-max-was-lowered"),
        pytest.param(0, 0, 0, (0, 0), id="nobody-waits"),
    ],
)
def test_who_gets_a_pod_and_who_may_wait(
    idle_count: int, used_count: int, waiting: int, expected: tuple[int, int]
) -> None:
    pods = tuple(idle(f"pod-{number}") for number in range(idle_count))
    granted, admitted = expected
    plan = plan_claims(POOL, idle=pods, in_use=used_count, waiting=waiting)
    assert plan == Plan(pods[:granted], admitted)


def test_lowered_maximum_of_the_pool_counts_at_once() -> None:
    lowered = replace(POOL, max=1)
    assert plan_claims(lowered, idle=(), in_use=1, waiting=1).admitted == 0
