"""Reads from the Kubernetes API, and creates: the only module that knows its client."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Self

import aiohttp
import msgspec
from kubernetes.aio import client, config

from podstream_router.watch import ApiError, ApiUnreachable

_LIST_TIMEOUT: Final = aiohttp.ClientTimeout(total=60, sock_connect=5, sock_read=30)
_MAX_LINE: Final = 8 * 2**20
"""Bytes; etcd refuses objects above 1.5 MiB."""
_SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
_CREATE_TIMEOUT: Final = aiohttp.ClientTimeout(total=15, sock_connect=5)
_OK: Final = 200
_CREATED: Final = 201
_MAX_MESSAGE: Final = 2000
"""Characters."""
_MAX_CAUSES: Final = 50
_MAX_RETRY_AFTER_S: Final = 30.0


class KubeReader:
    """Requests with the credentials of the pod, or of the current kubeconfig context."""

    def __init__(self, api: client.ApiClient) -> None:
        self._api = api

    @classmethod
    async def from_environment(cls) -> Self:
        """Use the pod's service account; outside a cluster the current kubeconfig context."""
        configuration = client.Configuration()
        if _SERVICE_ACCOUNT.exists():
            config.load_incluster_config(configuration)  # type: ignore[no-untyped-call]
        else:
            await config.load_kube_config(  # type: ignore[no-untyped-call]
                client_configuration=configuration
            )
        return cls(client.ApiClient(configuration))

    async def close(self) -> None:
        """Close all connections."""
        await self._api.close()  # type: ignore[no-untyped-call]

    async def get(self, path: str, *, query: Mapping[str, str]) -> bytes:
        """Body of one answer.

        Raises:
            ApiError: the server refused.
            ApiUnreachable: no answer.
        """
        try:
            response = await self._open(path, query=query, timeout=_LIST_TIMEOUT)
            async with response:
                return await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ApiUnreachable(str(error) or type(error).__name__) from error

    async def create(self, path: str, *, query: Mapping[str, str], body: Mapping[str, Any]) -> None:
        """POST an object.

        Raises:
            ApiError: the server refused.
            ApiUnreachable: no answer; the object may have been created all the same.
        """
        try:
            response = await self._open(
                path, query=query, timeout=_CREATE_TIMEOUT, method="POST", body=dict(body)
            )
            async with response:
                await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ApiUnreachable(str(error) or type(error).__name__) from error

    async def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] = MappingProxyType({}),
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
        token: str | None = None,
    ) -> bytes:
        """One request; with `token` as the person whose token it is.

        Raises:
            ApiError: the server refused.
            ApiUnreachable: no answer; the request may have been carried out all the same.
        """
        try:
            response = await self._open(
                path,
                query=query,
                timeout=_CREATE_TIMEOUT,
                method=method,
                body=None if body is None else dict(body),
                content_type=content_type,
                token=token,
            )
            async with response:
                return await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ApiUnreachable(str(error) or type(error).__name__) from error

    @asynccontextmanager
    async def lines(
        self, path: str, *, query: Mapping[str, str], silence_s: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Lines of a watch.

        Raises:
            ApiError: the server refused.
            ApiUnreachable: no answer, or it broke off or fell silent.
        """
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=silence_s)
        try:
            response = await self._open(path, query=query, timeout=timeout)
            async with response:
                yield _split(response.content)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ApiUnreachable(str(error) or type(error).__name__) from error

    async def _open(
        self,
        path: str,
        *,
        query: Mapping[str, str],
        timeout: aiohttp.ClientTimeout,
        method: str = "GET",
        body: dict[str, Any] | None = None,
        content_type: str = "application/json",
        token: str | None = None,
    ) -> aiohttp.ClientResponse:
        kind = {} if body is None else {"Content-Type": content_type}
        if token is not None:
            if self._api.configuration.cert_file:
                # A client certificate speaks for this process before any token does.
                raise ApiUnreachable("this router's own login would be used instead of the token")
            kind["Authorization"] = f"Bearer {token}"
        method, url, headers, content, _ = await self._api.param_serialize(
            method,
            path,
            query_params=list(query.items()),
            header_params={"Accept": "application/json", **kind},
            body=body,
            auth_settings=["BearerToken"] if token is None else [],
        )
        answer = await self._api.call_api(
            method, url, header_params=headers, body=content, _request_timeout=timeout
        )
        response: aiohttp.ClientResponse = answer.response
        if response.status not in (_OK, _CREATED):
            async with response:
                text = await response.text(errors="replace")
            wait_s = _retry_after(response.headers.get("Retry-After", ""))
            message, causes = _explained(text)
            raise ApiError(response.status, message, retry_after_s=wait_s, causes=causes)
        return response


class _Cause(msgspec.Struct):
    field: str = ""
    message: str = ""


class _Details(msgspec.Struct):
    causes: list[_Cause] = []


class _Status(msgspec.Struct):
    message: str
    details: _Details | None = None


def _explained(text: str) -> tuple[str, list[dict[str, str]]]:
    """What a refusal says: message and causes of a `Status`, or its text as it is."""
    try:
        status = msgspec.json.decode(text, type=_Status)
    except msgspec.DecodeError:
        return text[:_MAX_MESSAGE], []
    causes = status.details.causes[:_MAX_CAUSES] if status.details is not None else []
    return status.message[:_MAX_MESSAGE], [
        {"field": cause.field, "message": cause.message[:_MAX_MESSAGE]} for cause in causes
    ]


def _retry_after(text: str) -> float:
    """Seconds of a `Retry-After` header, bounded; the API server sends no dates there."""
    return min(float(text), _MAX_RETRY_AFTER_S) if text.isdecimal() else 0.0


async def _split(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Lines of a stream. Not `readline`, which refuses lines above its buffer size."""
    buffer = bytearray()
    async for chunk in content.iter_any():
        buffer += chunk
        if b"\n" in chunk:
            *lines, rest = bytes(buffer).split(b"\n")
            buffer = bytearray(rest)
            for line in lines:
                if line:
                    yield line
        if len(buffer) > _MAX_LINE:
            raise ApiUnreachable(f"a watch event is larger than {_MAX_LINE} bytes")
