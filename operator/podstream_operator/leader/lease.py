"""What a Lease says, and the Leases that a candidate writes. Pure.

Fields and their meaning are those of `coordination.k8s.io/v1`; the rules are those of client-go's
`tools/leaderelection`, so that kubectl and dashboards show what people know.
"""

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

API_VERSION: Final = "coordination.k8s.io/v1"
RELEASED_DURATION_S: Final = 1
"""What client-go writes on release; the API refuses 0."""

Body = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseTiming:
    """How long a leader may be silent.

    With the defaults, which are those of Kubernetes' own controllers, a follower takes over at
    most 17 s after the leader's last renewal.
    """

    duration_s: float = 15.0
    """Others leave a Lease alone that was renewed so recently, by their own clock."""
    renew_deadline_s: float = 10.0
    """A leader that could not renew for so long writes nothing more until it can."""
    retry_period_s: float = 2.0
    """Pause between two attempts to renew or to acquire."""

    def __post_init__(self) -> None:
        if not self.duration_s > self.renew_deadline_s > 1.2 * self.retry_period_s > 0:
            raise ValueError(f"a Lease needs duration > deadline > retry period: {self}")


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """Who holds a Lease, as its holder has written it."""

    holder: str | None
    """`None`: nobody, it was released."""
    duration_s: float
    acquired: str | None
    renewed: str | None
    """The holder's own clock: good for telling two renewals apart, for nothing else."""
    transitions: int

    @classmethod
    def from_body(cls, body: Body) -> "LeaseRecord":
        """Read a Lease; what is missing counts as nothing held."""
        spec = body.get("spec") or {}
        return cls(
            holder=spec.get("holderIdentity") or None,
            duration_s=float(spec.get("leaseDurationSeconds") or 0),
            acquired=spec.get("acquireTime"),
            renewed=spec.get("renewTime"),
            transitions=int(spec.get("leaseTransitions") or 0),
        )


def first_lease(
    *, namespace: str, name: str, holder: str, timing: LeaseTiming, now: datetime
) -> Body:
    """A Lease that does not exist yet, held from its creation on."""
    body = {
        "apiVersion": API_VERSION,
        "kind": "Lease",
        "metadata": {"name": name, "namespace": namespace},
    }
    return acquired(body, holder=holder, timing=timing, now=now)


def acquired(body: Body, *, holder: str, timing: LeaseTiming, now: datetime) -> Body:
    """The Lease as its holder renews it, or as a candidate takes it over."""
    old = LeaseRecord.from_body(body)
    mine = old.holder == holder
    moment = micro_time(now)
    spec = {
        **(body.get("spec") or {}),
        "holderIdentity": holder,
        # The API knows whole seconds; rounding up keeps the promise.
        "leaseDurationSeconds": math.ceil(timing.duration_s),
        "acquireTime": old.acquired if mine and old.acquired else moment,
        "renewTime": moment,
        "leaseTransitions": old.transitions if mine or "spec" not in body else old.transitions + 1,
    }
    return {**body, "spec": spec}


def released(body: Body, *, now: datetime) -> Body:
    """The Lease without a holder: the next candidate need not wait."""
    spec = {key: item for key, item in body["spec"].items() if key != "holderIdentity"}
    spec |= {"leaseDurationSeconds": RELEASED_DURATION_S, "renewTime": micro_time(now)}
    return {**body, "spec": spec}


def micro_time(moment: datetime) -> str:
    """`metav1.MicroTime`: RFC 3339 in UTC with exactly six digits."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
