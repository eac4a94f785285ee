"""HTTP to agents, with tokens that open one pod for a minute.

A pod knows the public keys of its creation time. While keys are rotated it may know only the
previous one, so a refused token is signed once more with the next key.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import aiohttp
import msgspec

from podstream_core.agentapi import ConnectionGrant, ErrorBody
from podstream_core.names import CONNECTION_HEADER
from podstream_core.tokens import SigningKey, TokenType, pod_audience
from podstream_router.errors import (
    BadOffer,
    Busy,
    PodFailed,
    SessionEnded,
    TryAgain,
    UnsupportedOffer,
)
from podstream_router.routes import PodRoute
from podstream_router.settings import AgentPorts

DIAL_TIMEOUT_S: Final = 2.0
ANSWER_TIMEOUT_S: Final = 15.0
"""Gathering candidates and answering an offer takes a busy pod a few seconds."""
CALLER: Final = "podstream-router"
_MAX_ANSWER_BYTES: Final = 256 * 1024
"""A session pod is not trusted with the router's memory."""
_UNAUTHORIZED: Final = 401


class KeysUnknown(PodFailed):
    """The pod was started with other keys than this router's."""

    def __init__(self) -> None:
        super().__init__("the session's pod does not accept this router's keys")


@dataclass(frozen=True, slots=True)
class Reply:
    """An agent's answer."""

    status: int
    body: bytes
    connection: str = ""
    """Id of the slot that was taken."""

    def failure(self) -> ErrorBody:
        """What the agent says of its refusal."""
        try:
            return msgspec.json.decode(self.body, type=ErrorBody)
        except msgspec.DecodeError:
            return ErrorBody(error="Unknown", message="the pod gave no reason")


class Transport:
    """Signs calls and makes them."""

    def __init__(
        self, http: aiohttp.ClientSession, *, signers: Sequence[SigningKey], ports: AgentPorts
    ) -> None:
        self.http = http
        self.signers = signers
        """Keys for pods, the current one first."""
        self.ports = ports

    async def as_connection(
        self, pod: PodRoute, grant: ConnectionGrant, method: str, path: str, *, body: bytes = b""
    ) -> Reply:
        """Call the connect port for a client.

        Raises:
            TryAgain: the agent does not answer.
            PodFailed: the agent does not accept this router, or its answer is too large.
        """
        url = _url(pod.ip, self.ports.connect, path)
        headers = {"Content-Type": "application/sdp"} if body else {}

        async def call(signer: SigningKey) -> Reply:
            token = connection_token(signer, pod, grant)
            return await self._call(method, url, token=token, body=body, headers=headers)

        return await self._with_keys(call)

    async def as_control(
        self,
        pod: PodRoute,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> Reply:
        """Call the control port.

        Raises:
            TryAgain: the agent does not answer within `timeout_s`.
            PodFailed: the agent does not accept this router, or its answer is too large.
        """
        url = self.control_url(pod, path)

        async def call(signer: SigningKey) -> Reply:
            token = _control_token(signer, pod)
            return await self._call(method, url, token=token, **_json(body), timeout_s=timeout_s)

        return await self._with_keys(call)

    def control_url(self, pod: PodRoute, path: str) -> str:
        """Where a path of the control port is."""
        return _url(pod.ip, self.ports.control, path)

    def control_tokens(self, pod: PodRoute) -> Iterator[str]:
        """Tokens for the control port, one per key: the next one is for a pod that refuses."""
        return (_control_token(signer, pod) for signer in self.signers)

    async def with_token_in_body(
        self,
        pod: PodRoute,
        path: str,
        *,
        make_body: Callable[[SigningKey], Mapping[str, Any]],
        timeout_s: float,
    ) -> Reply:
        """POST to the control port a body that carries its own token.

        Raises:
            TryAgain: the agent does not answer within `timeout_s`.
            PodFailed: the agent does not accept this router, or its answer is too large.
        """
        url = _url(pod.ip, self.ports.control, path)

        async def call(signer: SigningKey) -> Reply:
            body = make_body(signer)
            return await self._call("POST", url, **_json(body), timeout_s=timeout_s)

        return await self._with_keys(call)

    async def _with_keys(self, call: "_Call") -> Reply:
        for signer in self.signers:
            reply = await call(signer)
            if reply.status != _UNAUTHORIZED:
                return reply
        raise KeysUnknown

    async def _call(
        self,
        method: str,
        url: str,
        *,
        body: bytes,
        headers: Mapping[str, str],
        token: str | None = None,
        timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> Reply:
        sent = {**headers, **({"Authorization": f"Bearer {token}"} if token else {})}
        timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=DIAL_TIMEOUT_S)
        try:
            async with self.http.request(
                method,
                url,
                data=body or None,
                headers=sent,
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                content = await _read_bounded(response)
                return Reply(response.status, content, response.headers.get(CONNECTION_HEADER, ""))
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise TryAgain(f"the pod does not answer: {cause_of(error)}") from error


_Call = Callable[[SigningKey], Awaitable[Reply]]


async def _read_bounded(response: aiohttp.ClientResponse) -> bytes:
    content = await response.content.read(_MAX_ANSWER_BYTES + 1)
    while not response.content.at_eof() and len(content) <= _MAX_ANSWER_BYTES:
        content += await response.content.read(_MAX_ANSWER_BYTES + 1 - len(content))
    if len(content) > _MAX_ANSWER_BYTES:
        raise PodFailed("the answer of the session's pod is too large")
    return content


def _control_token(signer: SigningKey, pod: PodRoute) -> str:
    return signer.sign(TokenType.CONTROL, audience=pod_audience(pod.uid), subject=CALLER)


def connection_token(signer: SigningKey, pod: PodRoute, grant: ConnectionGrant) -> str:
    """A token that takes a client's connection to one pod."""
    return signer.sign(
        TokenType.CONNECTION,
        audience=pod_audience(pod.uid),
        subject=grant.session_uid,
        claims=grant.to_body(),
    )


def refuse(status: int, body: ErrorBody) -> NoReturn:
    """Turn an agent's refusal into the router's.

    Raises:
        TryAgain: it may pass.
        Refusal: it will not.
    """
    match status:
        case 425 | 503:
            raise TryAgain(f"the pod is not ready: {body.message}")
        case 409:
            raise Busy(f"the session's connection is taken: {body.message}")
        case 410:
            raise SessionEnded(body.message)
        case 400:
            raise BadOffer(body.message)
        case 422:
            raise UnsupportedOffer(body.message)
        case _:
            raise PodFailed(f"the session's pod answered {status} {body.error}: {body.message}")


def cause_of(error: BaseException) -> str:
    """What to say of a failed call."""
    return str(error) or type(error).__name__


def _json(body: Mapping[str, Any] | None) -> dict[str, Any]:
    if body is None:
        return {"body": b"", "headers": {}}
    return {"body": msgspec.json.encode(body), "headers": {"Content-Type": "application/json"}}


def _url(ip: str, port: int, path: str) -> str:
    host = f"[{ip}]" if ":" in ip else ip
    return f"http://{host}:{port}{path}"
