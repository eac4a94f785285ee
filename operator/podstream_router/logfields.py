"""How a log line says which session and pod it is about."""

from typing import Any

from podstream_core.api import PoolKey, SessionKey
from podstream_router.routes import PodRoute


def about(session: SessionKey, *, pod: PodRoute | None = None, **more: Any) -> dict[str, Any]:
    """`extra` of a line about a session: namespace, session, and its pod where there is one."""
    fields: dict[str, Any] = {"namespace": session.namespace, "session": session.name}
    if pod is not None:
        fields["pod"] = pod.name
    return {**fields, **more}


def about_pool(pool: PoolKey, *, pod: PodRoute | None = None, **more: Any) -> dict[str, Any]:
    """`extra` of a line about a pool: namespace, pool, and the pod where it is about one."""
    fields: dict[str, Any] = {"namespace": pool.namespace, "pool": pool.name}
    if pod is not None:
        fields["pod"] = pod.name
    return {**fields, **more}
