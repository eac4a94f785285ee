"""May this source and this namespace have one more session?"""

from podstream_router.errors import Busy
from podstream_router.routes import PoolRoute

RETRY_S = 1
"""A place may become free at any moment."""


def check_source(pool: PoolRoute, *, source: str, living: int) -> None:
    """Bound the sessions of one client address.

    Raises:
        Busy: the source has all that the pool allows.
    """
    if pool.max_per_source and living >= pool.max_per_source:
        raise Busy(
            f"{source} has the {pool.max_per_source} sessions of pool {pool.key} that "
            "spec.maxPerSource allows: end one first",
            retry_after_s=RETRY_S,
        )


def check_namespace(namespace: str, *, living: int, limit: int) -> None:
    """Bound the sessions of one namespace.

    Raises:
        Busy: the namespace has all that the installation allows.
    """
    if limit and living >= limit:
        raise Busy(
            f"namespace {namespace} has the {limit} sessions that this installation allows: "
            "try again when one has ended",
            retry_after_s=RETRY_S,
        )
