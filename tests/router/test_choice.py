from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from podstream_core.api import SessionKey
from podstream_router.claims.choice import Census, Plan, plan_claims, take_census
from podstream_router.routes import PodRoute
from router.harness import EPOCH, idle_pod, pool_route

POOL = pool_route(max=4, shape="new")


def census_of(
    *pods: PodRoute,
    taken: tuple[str, ...] = (),
    resting: tuple[str, ...] = (),
    ended: tuple[str, ...] = (),
) -> Census:
    return take_census(
        POOL,
        pods=pods,
        is_taken=lambda uid: uid in taken,
        is_resting=lambda uid: uid in resting,
        has_ended=lambda pod: pod.uid in ended,
        salt="router-a",
    )


def idle(uid: str, **changes: Any) -> PodRoute:
    return idle_pod(POOL, **{"uid": uid, "shape": "new", **changes})


def used(uid: str) -> PodRoute:
    return idle(uid, owner_uid="a session", session=SessionKey("lab", f"media-{uid}"))


def test_pods_that_somebody_has_are_not_idle() -> None:
    starting = idle("starting", running=False, ready=False)
    foreign = idle("foreign", owner_uid="another pool")
    census = census_of(idle("a"), idle("b"), used("c"), starting, foreign, taken=("b",))
    assert [pod.uid for pod in census.idle] == ["a"]
    assert census.in_use == 2


def test_pod_that_did_not_answer_is_neither_idle_nor_in_use() -> None:
    assert census_of(idle("a"), resting=("a",)) == Census((), 0)


def test_pods_that_only_linger_do_not_count() -> None:
    assert census_of(used("a"), used("b"), ended=("a",)).in_use == 1


def test_current_shape_comes_first_then_the_oldest() -> None:
    pods = [
        idle("young", created=EPOCH + timedelta(seconds=9)),
        idle("old-shape", shape="old", created=EPOCH),
        idle("old", created=EPOCH + timedelta(seconds=1)),
    ]
    assert [pod.uid for pod in census_of(*pods).idle] == ["old", "young", "old-shape"]


def test_pod_that_is_not_ready_yet_is_tried_after_all_others() -> None:
    pods = [idle("up", ready=False, created=EPOCH), idle("old-shape", shape="old")]
    assert [pod.uid for pod in census_of(*pods).idle] == ["old-shape", "up"]


def test_routers_prefer_different_pods_of_one_second() -> None:
    pods = [idle(f"pod-{number}") for number in range(20)]

    def first(router: str) -> str:
        census = take_census(
            POOL,
            pods=pods,
            is_taken=lambda _: False,
            is_resting=lambda _: False,
            has_ended=lambda _: False,
            salt=router,
        )
        assert {pod.uid for pod in census.idle} == {pod.uid for pod in pods}
        return census.idle[0].uid

    assert len({first(f"router-{number}") for number in range(10)}) > 3


@pytest.mark.parametrize(
    ("idle_pods", "in_use", "waiting", "expected"),
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
    idle_pods: int, in_use: int, waiting: int, expected: tuple[int, int]
) -> None:
    pods = tuple(idle(f"pod-{number}") for number in range(idle_pods))
    granted, admitted = expected
    plan = plan_claims(POOL, census=Census(pods, in_use), waiting=waiting)
    assert plan == Plan(pods[:granted], admitted)


def test_lowered_maximum_of_the_pool_counts_at_once() -> None:
    lowered = replace(POOL, max=1)
    assert plan_claims(lowered, census=Census((), 1), waiting=1).admitted == 0
