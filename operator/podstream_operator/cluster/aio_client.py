"""`KubeClient` on `kubernetes.aio`.

The generated API classes validate every body against pydantic models, which costs most of the
time of a call and drops fields that the library does not know yet. Bodies here are dicts that were
built or read as dicts, so the calls go through the library's generic entry (`ApiClient`), which
brings connection pool, TLS and the refreshed service-account token.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final, Protocol

import aiohttp
import msgspec
from kubernetes.aio.client import ApiClient, Configuration

from podstream_core import names
from podstream_operator.cluster.client import Body
from podstream_operator.errors import (
    ApiConflict,
    ApiError,
    ApiRejected,
    ApiUnavailable,
    NotLeading,
)

REQUEST_TIMEOUT: Final = aiohttp.ClientTimeout(total=15, sock_connect=5)
_JSON: Final = "application/json"
_METADATA_LIST: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
"""Only the metadata of what is listed (Kubernetes API concepts, metadata-only fetches)."""
LIST_PART: Final = 250
"""Objects per answer of a list: 5,000 pods at once take hundreds of megabytes to be read."""
_MERGE_PATCH: Final = "application/merge-patch+json"
_SESSIONS: Final = f"/apis/{names.API_VERSION}/namespaces/{{namespace}}/{names.SESSION_PLURAL}"
_POOLS: Final = f"/apis/{names.API_VERSION}/namespaces/{{namespace}}/{names.POOL_PLURAL}"
_PODS: Final = "/api/v1/namespaces/{namespace}/pods"
_SECRETS: Final = "/api/v1/namespaces/{namespace}/secrets"
_EVENTS: Final = "/apis/events.k8s.io/v1/namespaces/{namespace}/events"
_LEASES: Final = "/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"

_LEASE: Final = "leases"

_NOT_FOUND: Final = 404
_CONFLICT: Final = 409
_GONE: Final = 410
_TOO_MANY: Final = 429
_TIMEOUT: Final = 408
_SERVER_ERROR: Final = 500
_OK: Final = range(200, 300)


class CallObserver(Protocol):
    """Told of every call, for metrics."""

    def __call__(self, *, verb: str, resource: str, code: str) -> None:
        """`code` is the HTTP status, or `error` where none came."""
        ...


class AioKubeClient:
    """One connection pool to one API server. Safe to use from many tasks at once."""

    def __init__(
        self,
        configuration: Configuration,
        *,
        observer: CallObserver,
        may_write: Callable[[], bool] = lambda: True,
    ) -> None:
        """Make a client.

        Args:
            configuration: where the API server is, and how it is spoken to.
            observer: told of every call.
            may_write: asked before each write but those of Leases; `False` raises `NotLeading`.
        """
        self._api = ApiClient(configuration)
        self._api.user_agent = "podstream-operator"
        self._observer = observer
        self._may_write = may_write

    async def close(self) -> None:
        """Close all connections."""
        await self._api.close()  # type: ignore[no-untyped-call]

    async def has_sessions_api(self) -> bool:
        """Whether the API server serves StreamSession and StreamPool with their status."""
        listed = await self._call("GET", f"/apis/{names.API_VERSION}", resource="discovery")
        served = {item.get("name") for item in (listed or {}).get("resources", [])}
        return all(
            {plural, f"{plural}/status"} <= served
            for plural in (names.SESSION_PLURAL, names.POOL_PLURAL)
        )

    def list_sessions(self, namespace: str, *, metadata_only: bool = False) -> AsyncIterator[Body]:
        """All StreamSessions of a namespace."""
        path = _SESSIONS.format(namespace=namespace)
        return self._list(path, resource="streamsessions", metadata_only=metadata_only)

    def list_pools(self, namespace: str, *, metadata_only: bool = False) -> AsyncIterator[Body]:
        """All StreamPools of a namespace."""
        path = _POOLS.format(namespace=namespace)
        return self._list(path, resource="streampools", metadata_only=metadata_only)

    def list_pods(self, namespace: str, *, metadata_only: bool = False) -> AsyncIterator[Body]:
        """All pods of a namespace that carry the role label."""
        path = _PODS.format(namespace=namespace)
        return self._list(
            path, resource="pods", selector=names.LABEL_ROLE, metadata_only=metadata_only
        )

    async def patch_session_status(
        self, namespace: str, name: str, *, uid: str, patch: Mapping[str, Any]
    ) -> Body | None:
        """Merge a patch into the status; `None` where the session is gone."""
        # The UID is a precondition: a session that was made anew under the name is not ours.
        body = {"metadata": {"uid": uid}, "status": patch}
        path = f"{_SESSIONS.format(namespace=namespace)}/{name}/status"
        return await self._patch(path, body, resource="streamsessions/status")

    async def patch_pool_status(
        self, namespace: str, name: str, *, uid: str, patch: Mapping[str, Any]
    ) -> Body | None:
        """Merge a patch into a pool's status; `None` where the pool is gone."""
        body = {"metadata": {"uid": uid}, "status": patch}
        path = f"{_POOLS.format(namespace=namespace)}/{name}/status"
        return await self._patch(path, body, resource="streampools/status")

    async def delete_session(self, namespace: str, name: str, *, uid: str) -> None:
        """Delete a session in the background."""
        path = f"{_SESSIONS.format(namespace=namespace)}/{name}"
        await self._delete(path, resource="streamsessions", uid=uid)

    async def create_pod(self, namespace: str, body: Body) -> Body:
        """Create a pod."""
        return await self._create(_PODS.format(namespace=namespace), body, resource="pods")

    async def get_pod(self, namespace: str, name: str) -> Body | None:
        """Read a pod."""
        path = f"{_PODS.format(namespace=namespace)}/{name}"
        return await self._call("GET", path, resource="pods")

    async def patch_pod(
        self, namespace: str, name: str, *, patch: Mapping[str, Any]
    ) -> Body | None:
        """Merge a patch into a pod; `None` where it is gone."""
        path = f"{_PODS.format(namespace=namespace)}/{name}"
        return await self._patch(path, dict(patch), resource="pods")

    async def delete_pod(self, namespace: str, name: str, *, uid: str) -> None:
        """Delete a pod."""
        await self._delete(f"{_PODS.format(namespace=namespace)}/{name}", resource="pods", uid=uid)

    async def get_secret(self, namespace: str, name: str) -> Body | None:
        """Read a Secret."""
        path = f"{_SECRETS.format(namespace=namespace)}/{name}"
        return await self._call("GET", path, resource="secrets")

    async def create_secret(self, namespace: str, body: Body) -> Body:
        """Create a Secret."""
        return await self._create(_SECRETS.format(namespace=namespace), body, resource="secrets")

    async def patch_secret(self, namespace: str, name: str, *, patch: Mapping[str, Any]) -> None:
        """Merge a patch into a Secret."""
        path = f"{_SECRETS.format(namespace=namespace)}/{name}"
        await self._call(
            "PATCH", path, resource="secrets", body=dict(patch), content_type=_MERGE_PATCH
        )

    async def delete_secret(self, namespace: str, name: str, *, uid: str) -> None:
        """Delete a Secret."""
        path = f"{_SECRETS.format(namespace=namespace)}/{name}"
        await self._delete(path, resource="secrets", uid=uid)

    async def create_event(self, namespace: str, body: Body) -> None:
        """Post an Event."""
        await self._create(_EVENTS.format(namespace=namespace), body, resource="events")

    async def get_lease(self, namespace: str, name: str) -> Body | None:
        """Read a Lease."""
        return await self._call(
            "GET", f"{_LEASES.format(namespace=namespace)}/{name}", resource=_LEASE
        )

    async def create_lease(self, namespace: str, body: Body) -> Body:
        """Create a Lease."""
        return await self._create(_LEASES.format(namespace=namespace), body, resource=_LEASE)

    async def replace_lease(self, namespace: str, body: Body) -> Body | None:
        """Replace a Lease in the version that the body names."""
        path = f"{_LEASES.format(namespace=namespace)}/{body['metadata']['name']}"
        return await self._call("PUT", path, resource=_LEASE, body=body)

    async def _list(
        self, path: str, *, resource: str, selector: str = "", metadata_only: bool = False
    ) -> AsyncIterator[Body]:
        """Objects of a collection, fetched in parts that are one state of it together.

        Raises:
            ApiUnavailable: also where the state of the first part is too old to be continued.
        """
        query = {"limit": str(LIST_PART)} | ({"labelSelector": selector} if selector else {})
        while True:
            part = await self._call(
                "GET",
                path,
                resource=resource,
                verb="list",
                query=query,
                accept=_METADATA_LIST if metadata_only else _JSON,
            )
            part = part or {}
            for item in part.get("items") or []:
                yield item
            following = (part.get("metadata") or {}).get("continue")
            if not following:
                return
            query["continue"] = following

    async def _patch(self, path: str, body: Body, *, resource: str) -> Body | None:
        """Merge a patch; `None` where the object is gone or another one has its name."""
        try:
            return await self._call(
                "PATCH", path, resource=resource, body=body, content_type=_MERGE_PATCH
            )
        except ApiConflict as conflict:
            if "UID" in str(conflict):
                return None
            raise ApiUnavailable(f"conflict while writing {resource}: {conflict}") from conflict

    async def _create(self, path: str, body: Body, *, resource: str) -> Body:
        created = await self._call("POST", path, resource=resource, body=body)
        if created is None:
            raise ApiRejected(status=_NOT_FOUND, reason="NotFound", message=f"no such path: {path}")
        return created

    async def _delete(self, path: str, *, resource: str, uid: str) -> None:
        body = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": {"uid": uid},
        }
        try:
            await self._call("DELETE", path, resource=resource, body=body)
        except ApiConflict:
            return  # another object has taken the name: ours is gone

    async def _call(
        self,
        method: str,
        path: str,
        *,
        resource: str,
        verb: str | None = None,
        body: Body | None = None,
        query: Mapping[str, str] | None = None,
        content_type: str = _JSON,
        accept: str = _JSON,
    ) -> Body | None:
        """Make one call; `None` for 404."""
        verb = verb or method.lower()
        if method != "GET" and resource != _LEASE and not self._may_write():
            raise NotLeading(f"{verb} {resource}: this operator does not lead")
        code = "error"
        parameters = dict(query or {})
        if method in ("POST", "PUT", "PATCH"):
            parameters["fieldManager"] = names.FIELD_MANAGER
        try:
            request = await self._api.param_serialize(
                method,
                path,
                query_params=list(parameters.items()),
                header_params={"Accept": accept, "Content-Type": content_type},
                body=body,
                auth_settings=["BearerToken"],
            )
            response = await self._api.call_api(*request, _request_timeout=REQUEST_TIMEOUT)
            content = await response.read()  # type: ignore[no-untyped-call]
            code = str(response.status)
            return _judge(response.status, content, headers=response.headers)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            cause = str(error) or type(error).__name__
            raise ApiUnavailable(f"{verb} {resource}: {cause}") from error
        finally:
            self._observer(verb=verb, resource=resource, code=code)


def _judge(status: int, content: bytes, *, headers: Mapping[str, str]) -> Body | None:
    try:
        body = msgspec.json.decode(content) if content else {}
    except msgspec.DecodeError:
        body = {}
    if not isinstance(body, dict):
        body = {}
    if status in _OK:
        return body
    if status == _NOT_FOUND:
        return None
    raise _failure(status, body, headers=headers)


def _failure(status: int, body: Body, *, headers: Mapping[str, str]) -> ApiError:
    message = str(body.get("message", ""))
    if status == _CONFLICT:
        return ApiConflict(message)
    if status in (_TOO_MANY, _TIMEOUT, _GONE) or status >= _SERVER_ERROR:
        wish = headers.get("Retry-After", "")
        retry_after_s = float(wish) if wish.isdigit() else None
        return ApiUnavailable(f"HTTP {status}: {message}", retry_after_s=retry_after_s)
    return ApiRejected(status=status, reason=str(body.get("reason", "")), message=message)
