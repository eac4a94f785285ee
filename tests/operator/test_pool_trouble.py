"""When a pool looks again at pods that do not start, and where it tells why. Pure."""

from datetime import UTC, datetime, timedelta

import pytest

from fakes.world import NAMESPACE, SITE, pool_body
from podstream_core import names
from podstream_core.api import PoolConditionType, StreamPool
from podstream_operator.decide.pool import decide_pool
from podstream_operator.decide.startup import PATIENCE
from podstream_operator.facts import PodFacts, PooledPod, PoolMemory, PoolObserved, Use
from podstream_operator.pools.trouble import pool_trouble
from podstream_operator.status.pool import pool_status

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
TOLD_S = PATIENCE.total_seconds()
HANGS_S = 60.0


def a_pool() -> StreamPool:
    body = pool_body(warm=1, max=2, spec={"startupTimeoutSeconds": int(HANGS_S)})
    body["metadata"] |= {"uid": "pool-uid", "generation": 1}
    return StreamPool.from_body(body)


def pooled(number: int, use: Use, *, age_s: float, fits: bool = True) -> PooledPod:
    pod = PodFacts(
        namespace=NAMESPACE,
        name=f"media-{number}",
        uid=f"uid-{number}",
        session="",
        role=names.ROLE_SESSION,
        pool="media",
        owner_uid="pool-uid",
        created_at=NOW - timedelta(seconds=age_s),
        unschedulable="0/1 nodes are available" if use is Use.STARTING else None,
    )
    return PooledPod(pod=pod, use=use, fits=fits, known_s=age_s)


def observed(*pods: PooledPod) -> PoolObserved:
    return PoolObserved(
        pods=pods,
        waiting=0,
        shape="",
        history=[],
        refused_listeners=[],
        memory=PoolMemory(),
    )


@pytest.mark.parametrize(
    ("age_s", "looks_in_s"),
    [
        pytest.param(0.5, TOLD_S - 0.5 + 1, id="until it is worth telling"),
        pytest.param(TOLD_S + 1, HANGS_S - TOLD_S - 1 + 1, id="until it hangs"),
    ],
)
def test_pod_that_does_not_start_is_looked_at_without_any_event(
    age_s: float, looks_in_s: float
) -> None:
    """Nothing happens to an unschedulable pod that a watch would show."""
    seen = observed(pooled(1, Use.STARTING, age_s=age_s))
    plan = decide_pool(a_pool(), observed=seen, max_starting=10, now=NOW)
    assert plan.requeue_after_s == pytest.approx(looks_in_s)


@pytest.mark.parametrize(("age_s", "reason"), [(1.0, "RollingOut"), (TOLD_S + 1, "Unschedulable")])
def test_roll_out_that_cannot_go_on_says_why(age_s: float, reason: str) -> None:
    """Pods of the former template serve on: the pool stays ready."""
    seen = observed(
        pooled(1, Use.IDLE, age_s=600, fits=False), pooled(2, Use.STARTING, age_s=age_s)
    )
    pool = a_pool()
    status = pool_status(
        pool,
        previous=pool.status,
        observed=seen,
        trouble=pool_trouble(seen, now=NOW),
        site=SITE,
        now=NOW,
    )
    ready = status.condition(PoolConditionType.READY)
    rolled_out = status.condition(PoolConditionType.ROLLED_OUT)
    assert ready is not None
    assert ready.reason == "PodsWarm"
    assert rolled_out is not None
    assert (rolled_out.status, rolled_out.reason) == ("False", reason)
    if reason == "Unschedulable":
        assert "0/1 nodes are available" in rolled_out.message
