"""`AgentClient` over HTTP, with tokens that open one pod for a minute."""

import os
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

import aiohttp
import msgspec

from podstream_core import ports
from podstream_core.agentapi import AgentState, Assignment, AssignRequest, SessionRef, SpecUpdate
from podstream_core.api import LiveSpec, StreamSession
from podstream_core.tokens import SHORT_LIFETIME_S, SigningKey, TokenType, pod_audience
from podstream_operator.facts import AgentRefusal, AgentReply, AgentUnreachable, PodFacts

CONNECT_TIMEOUT_S: Final = 1.0
"""A pod's address answers within a round trip, or not at all."""
TOTAL_TIMEOUT_S: Final = 3.0
CALLER: Final = "podstream-operator"
MAX_ANSWER_BYTES: Final = 1 << 20
"""A session pod is not trusted with the operator's memory."""

_TOKEN_REUSE_S: Final = SHORT_LIFETIME_S / 2
_MAX_TOKENS: Final = 10_000
_OK: Final = 200
_UNAUTHORIZED: Final = 401
_ERRORS: Final = 400
_ACCEPTED: Final = "Accepted"

AddressResolver = Callable[[PodFacts], str]
"""Base URL of a pod's control API."""


class CallObserver(Protocol):
    """Told of every call, for metrics."""

    def __call__(self, *, call: str, result: str) -> None:
        """`result` is `ok`, `unreachable` or the code of the refusal."""
        ...


def pod_address(pod: PodFacts) -> str:
    """Control API at the pod's own address."""
    host = pod.ip or ""
    bracketed = f"[{host}]" if ":" in host else host
    return f"http://{bracketed}:{ports.AGENT_CONTROL_PORT}"


class HttpAgentClient:
    """One connection pool for all agents.

    A pod knows the public keys of its creation time. While keys are rotated it may know only the
    previous one, so a refused token is signed once more with the next key.
    """

    def __init__(
        self,
        keys: tuple[SigningKey, ...],
        *,
        observer: CallObserver,
        resolve: AddressResolver = pod_address,
    ) -> None:
        """Use the assignment keys in this order: the current one first."""
        self._keys = keys
        self._observer = observer
        self._resolve = resolve
        self._tokens: dict[tuple[str, str], tuple[float, str]] = {}
        self._http: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close all connections."""
        if self._http is not None:
            await self._http.close()

    async def assign(self, pod: PodFacts, *, session: StreamSession) -> AgentReply:
        """Give the session to the pod."""
        claims = Assignment(
            assignment_id=session.metadata.uid,
            session=SessionRef(
                namespace=session.metadata.namespace,
                name=session.metadata.name,
                uid=session.metadata.uid,
            ),
            spec=session.spec,
        ).to_body()

        async def call(key: SigningKey) -> AgentReply:
            token = key.sign(
                TokenType.ASSIGNMENT,
                audience=pod_audience(pod.uid),
                subject=session.metadata.uid,
                claims=claims,
            )
            body = AssignRequest(token=token).to_body()
            return await self._request("POST", "assign", pod=pod, token=None, body=body)

        return await self._with_keys(call, name="assign")

    async def state(self, pod: PodFacts, *, confirm: bool = True) -> AgentReply:
        """Ask for the state."""
        path = "state" if confirm else "state?confirm=false"

        async def call(key: SigningKey) -> AgentReply:
            return await self._request("GET", path, pod=pod, token=self._token(pod, key=key))

        return await self._with_keys(call, name="state")

    async def update(
        self, pod: PodFacts, *, assignment_id: str, generation: int, live: LiveSpec
    ) -> AgentReply:
        """Have the workloads follow changed members of the spec."""
        change = SpecUpdate(assignment_id=assignment_id, generation=generation, live=live)
        body = change.to_body()

        async def call(key: SigningKey) -> AgentReply:
            token = self._token(pod, key=key)
            return await self._request("PUT", "spec", pod=pod, token=token, body=body)

        return await self._with_keys(call, name="update")

    async def retire(self, pod: PodFacts) -> AgentReply:
        """End an idle agent."""

        async def call(key: SigningKey) -> AgentReply:
            return await self._request("POST", "retire", pod=pod, token=self._token(pod, key=key))

        return await self._with_keys(call, name="retire")

    async def drain(self, pod: PodFacts, *, reason: str, message: str) -> AgentReply:
        """End the session, then ask for the state."""

        async def call(key: SigningKey) -> AgentReply:
            body = {"reason": reason, "message": message}
            token = self._token(pod, key=key)
            return await self._request("POST", "drain", pod=pod, token=token, body=body)

        reply = await self._with_keys(call, name="drain")
        return reply if isinstance(reply, AgentUnreachable) else await self.state(pod)

    async def _with_keys(self, call: "Callable[[SigningKey], Any]", *, name: str) -> AgentReply:
        reply: AgentReply = AgentUnreachable("no signing key")
        for key in self._keys:
            reply = await call(key)
            if not (isinstance(reply, AgentRefusal) and reply.status == _UNAUTHORIZED):
                break
        self._observer(call=name, result=_result_of(reply))
        return reply

    async def _request(
        self,
        method: str,
        path: str,
        *,
        pod: PodFacts,
        token: str | None,
        body: dict[str, Any] | None = None,
    ) -> AgentReply:
        if self._http is None:
            self._http = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(
                    total=TOTAL_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S
                ),
                # Pods come and go with their addresses: a kept connection may lead to another pod.
                connector=aiohttp.TCPConnector(limit=256, keepalive_timeout=5),
            )
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = f"{self._resolve(pod)}/{path}"
        try:
            async with self._http.request(
                method, url, json=body, headers=headers, allow_redirects=False
            ) as response:
                content = await _read_bounded(response)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return AgentUnreachable(_cause(error))
        return _parse(response.status, content, pod=pod)

    def _token(self, pod: PodFacts, *, key: SigningKey) -> str:
        """A control token, signed anew when half of its life is over."""
        now = time.time()
        cached = self._tokens.get((pod.uid, key.kid))
        # A clock that was set back makes a token that was signed before it of the future.
        if cached is not None and 0 <= now - cached[0] < _TOKEN_REUSE_S:
            return cached[1]
        if len(self._tokens) >= _MAX_TOKENS:
            self._tokens.clear()
        audience = pod_audience(pod.uid)
        token = key.sign(TokenType.CONTROL, audience=audience, subject=CALLER, now=now)
        self._tokens[pod.uid, key.kid] = (now, token)
        return token


async def _read_bounded(response: aiohttp.ClientResponse) -> bytes:
    content = await response.content.read(MAX_ANSWER_BYTES)
    while content and not response.content.at_eof():
        more = await response.content.read(MAX_ANSWER_BYTES)
        content += more
        if len(content) > MAX_ANSWER_BYTES:
            raise aiohttp.ClientPayloadError("the answer is too long")
    return content


def _parse(status: int, content: bytes, *, pod: PodFacts) -> AgentReply:
    try:
        body = msgspec.json.decode(content) if content else {}
        if status == _OK:
            state = AgentState.from_body(body)
            if state.pod_uid != pod.uid:
                return AgentUnreachable(f"another pod answers at {pod.ip}")
            return state
    except msgspec.MsgspecError as error:
        return AgentRefusal(status, "BadAnswer", str(error))
    if status < _ERRORS:
        # A drain is accepted without a state; the caller asks for that next.
        return AgentRefusal(status, _ACCEPTED, "")
    if isinstance(body, dict):
        return AgentRefusal(status, str(body.get("error", "")), str(body.get("message", "")))
    return AgentRefusal(status, "BadAnswer", f"HTTP {status}")


def _cause(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, aiohttp.ClientConnectorError):
        number = error.os_error.errno
        return os.strerror(number) if number else str(error.os_error)
    return str(error) or type(error).__name__


def _result_of(reply: AgentReply) -> str:
    if isinstance(reply, AgentState):
        return "ok"
    if isinstance(reply, AgentUnreachable):
        return "unreachable"
    return "ok" if reply.error == _ACCEPTED else reply.error or "refused"
