"""`status` of a StreamPool: counts, and what a user should know."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from podstream_core import names
from podstream_core.api import (
    AccessStatus,
    PoolCondition,
    PoolConditionType,
    PoolStatus,
    StreamPool,
)
from podstream_operator.facts import PooledPod, PoolObserved, Site, Use
from podstream_operator.resources import has_secret, secret_name
from podstream_operator.status.conditions import Verdict, facts
from podstream_operator.status.endpoints import pool_endpoints

_IN_ORDER: Final = (
    PoolConditionType.READY,
    PoolConditionType.ROLLED_OUT,
    PoolConditionType.LISTENERS_ACCEPTED,
)


def pool_status(
    pool: StreamPool,
    *,
    previous: PoolStatus,
    observed: PoolObserved,
    trouble: tuple[str, str] | None,
    site: Site,
    now: datetime,
) -> PoolStatus:
    """The whole status.

    Args:
        pool: the pool.
        previous: its status, for the times of conditions.
        observed: what there is.
        trouble: reason and message of what keeps pods from starting.
        site: where clients find the router.
        now: for the times of conditions.
    """
    count = {use: sum(item.use is use for item in observed.pods) for use in Use}
    verdicts = {
        PoolConditionType.READY: _ready(pool, count=count, trouble=trouble),
        PoolConditionType.ROLLED_OUT: _rolled_out(observed.pods, trouble=trouble),
        PoolConditionType.LISTENERS_ACCEPTED: _listeners(observed.refused_listeners),
    }
    return PoolStatus(
        observed_generation=pool.metadata.generation,
        warm=count[Use.IDLE],
        starting=count[Use.STARTING] + count[Use.SILENT],
        in_use=count[Use.IN_USE],
        lingering=count[Use.LINGERING],
        waiting=observed.waiting,
        shape=observed.shape,
        selector=f"{names.LABEL_POOL}={pool.metadata.name}",
        access=AccessStatus(secret_name=secret_name(pool)) if has_secret(pool) else None,
        endpoints=pool_endpoints(pool, site=site),
        conditions=[
            PoolCondition(
                type=kind,
                **facts(
                    verdicts[kind],
                    before=previous.condition(kind),
                    generation=pool.metadata.generation,
                    now=now,
                ),
            )
            for kind in _IN_ORDER
        ],
    )


def _ready(pool: StreamPool, *, count: dict[Use, int], trouble: tuple[str, str] | None) -> Verdict:
    live = count[Use.IDLE] + count[Use.STARTING] + count[Use.SILENT] + count[Use.IN_USE]
    if count[Use.IDLE]:
        return Verdict(True, "PodsWarm", "a connection finds a pod at once")
    if live >= pool.spec.max and not count[Use.STARTING] and not count[Use.SILENT]:
        text = f"all {pool.spec.max} pods are in use: raise spec.max, or wait until one is free"
        return Verdict(False, "PoolExhausted", text)
    if trouble is not None:
        return Verdict(False, *trouble)
    if count[Use.SILENT] and not count[Use.STARTING]:
        text = f"{count[Use.SILENT]} idle pods do not answer, as when their node is lost"
        return Verdict(False, "PodsSilent", text)
    if pool.spec.warm == 0 and not count[Use.STARTING]:
        return Verdict(True, "ScaledToZero", "a connection waits until its pod has started")
    return Verdict(False, "Filling", "pods are being started")


def _rolled_out(pods: Sequence[PooledPod], *, trouble: tuple[str, str] | None) -> Verdict:
    stale = [item for item in pods if item.use in (Use.IDLE, Use.STARTING) and not item.fits]
    if stale:
        text = f"{len(stale)} idle pods are of the former template"
        if trouble is not None:
            # They serve on, so nothing else would tell.
            reason, cause = trouble
            return Verdict(False, reason, f"{text}, the new ones do not start: {cause}")
        return Verdict(False, "RollingOut", text)
    return Verdict(True, "UpToDate", "every idle pod is as the template says")


def _listeners(refused: Sequence[str]) -> Verdict:
    if refused:
        text = f"an older pool has the listeners {', '.join(refused)}: remove them from one of them"
        return Verdict(False, "ListenerTaken", text)
    return Verdict(True, "Accepted", "")
