"""Speaks to the agent of a session pod: the only module that knows its addresses and tokens.

Every call carries a token of its own that names the pod and expires within a minute. Expected
answers are values; what the client must be told is a `Refusal`; what may pass is `TryAgain`.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NoReturn

import aiohttp
import msgspec

from podstream_core.agentapi import AgentState, ConnectionGrant, ErrorBody
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
_MAX_ANSWER_BYTES: Final = 256 * 1024
_MAX_REPLY_LINE: Final = 8 * 1024
STREAM_BUFFER_BYTES: Final = 64 * 1024
_UNAUTHORIZED: Final = 401


@dataclass(frozen=True, slots=True)
class WhepAnswer:
    """A slot was taken."""

    connection: str
    sdp: str


@dataclass(frozen=True, slots=True)
class PodStream:
    """A raw TCP connection to the workload, past the preamble."""

    connection: str
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    body: bytes
    connection: str


class AgentClient:
    """Calls agents over the pod network."""

    def __init__(
        self, http: aiohttp.ClientSession, *, signers: Sequence[SigningKey], ports: AgentPorts
    ) -> None:
        self._http = http
        self._signers = signers
        self._ports = ports

    async def connect_whep(self, pod: PodRoute, *, grant: ConnectionGrant, sdp: str) -> WhepAnswer:
        """Offer a WebRTC connection.

        Raises:
            TryAgain: the agent does not answer, or the workload is not ready.
            Refusal: the slot is taken, the session is over, or the offer does not fit.
        """
        reply = await self._as_connection(pod, grant, "POST", "/whep", body=sdp.encode())
        if reply.status != 201:  # noqa: PLR2004
            _refuse(reply.status, _error_of(reply.body))
        if not reply.connection:
            raise PodFailed("the session's pod named no connection")
        return WhepAnswer(reply.connection, reply.body.decode(errors="replace"))

    async def end_whep(self, pod: PodRoute, *, grant: ConnectionGrant, connection: str) -> bool:
        """End a WebRTC connection; false where the agent does not know it.

        Raises:
            TryAgain: the agent does not answer.
            Refusal: the agent refuses.
        """
        reply = await self._as_connection(pod, grant, "DELETE", f"/whep/{connection}")
        if reply.status in (404, 410):
            return False
        if not 200 <= reply.status < 300:  # noqa: PLR2004
            _refuse(reply.status, _error_of(reply.body))
        return True

    async def state(self, pod: PodRoute) -> AgentState:
        """What the agent says of its session.

        Raises:
            TryAgain: the agent does not answer.
            PodFailed: its answer cannot be used.
        """
        url = _url(pod.ip, self._ports.control, "/state")
        for signer in self._signers:
            token = signer.sign(
                TokenType.CONTROL, audience=pod_audience(pod.uid), subject="podstream-router"
            )
            reply = await self._call("GET", url, token=token)
            if reply.status != _UNAUTHORIZED:
                break
        else:
            raise PodFailed("the session's pod does not accept this router's keys")
        if reply.status != 200:  # noqa: PLR2004
            _refuse(reply.status, _error_of(reply.body))
        try:
            return msgspec.json.decode(reply.body, type=AgentState)
        except msgspec.DecodeError as error:
            raise PodFailed(f"the state of the session's pod cannot be read: {error}") from error

    async def open_stream(self, pod: PodRoute, *, grant: ConnectionGrant) -> PodStream:
        """Connect to the workload's byte stream; the caller closes it.

        Raises:
            TryAgain: the agent does not answer, or the workload is not ready.
            Refusal: the slot is taken or the session is over.
        """
        for signer in self._signers:
            token = _connection_token(signer, pod, grant)
            reader, writer = await self._dial(pod)
            connection = ""
            try:
                connection = await self._preamble(reader, writer, token)
            finally:
                if not connection:
                    writer.close()
            if connection:
                return PodStream(connection, reader, writer)
        raise PodFailed("the session's pod does not accept this router's keys")

    async def _dial(self, pod: PodRoute) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            async with asyncio.timeout(DIAL_TIMEOUT_S):
                return await asyncio.open_connection(
                    pod.ip, self._ports.stream, limit=STREAM_BUFFER_BYTES
                )
        except (OSError, TimeoutError) as error:
            raise TryAgain(f"the pod does not answer: {_text(error)}") from error

    async def _preamble(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str
    ) -> str:
        """Exchange the first lines; the connection's id, or empty where the key is not known."""
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                writer.write(msgspec.json.encode({"token": token}) + b"\n")
                await writer.drain()
                line = await reader.readuntil(b"\n")
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            raise TryAgain(f"the pod does not answer: {_text(error)}") from error
        except asyncio.LimitOverrunError as error:
            raise PodFailed("the session's pod answers with an endless line") from error
        if len(line) > _MAX_REPLY_LINE:
            raise PodFailed("the session's pod answers with a line that is too long")
        try:
            reply = msgspec.json.decode(line, type=_StreamReply)
        except msgspec.DecodeError as error:
            raise PodFailed(f"the session's pod does not answer as agreed: {error}") from error
        if reply.error == "InvalidToken":
            return ""
        if not reply.ok:
            status = _STREAM_STATUS.get(reply.error, 502)
            _refuse(status, ErrorBody(error=reply.error, message=reply.message))
        if not reply.connection:
            raise PodFailed("the session's pod named no connection")
        return reply.connection

    async def _as_connection(
        self, pod: PodRoute, grant: ConnectionGrant, method: str, path: str, *, body: bytes = b""
    ) -> _Reply:
        url = _url(pod.ip, self._ports.connect, path)
        for signer in self._signers:
            token = _connection_token(signer, pod, grant)
            reply = await self._call(method, url, token=token, body=body)
            if reply.status != _UNAUTHORIZED:
                return reply
        raise PodFailed("the session's pod does not accept this router's keys")

    async def _call(self, method: str, url: str, *, token: str, body: bytes = b"") -> _Reply:
        headers = {"Authorization": f"Bearer {token}"}
        if body:
            headers["Content-Type"] = "application/sdp"
        timeout = aiohttp.ClientTimeout(total=ANSWER_TIMEOUT_S, sock_connect=DIAL_TIMEOUT_S)
        try:
            async with self._http.request(
                method,
                url,
                data=body or None,
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                content = await response.content.read(_MAX_ANSWER_BYTES + 1)
                while not response.content.at_eof() and len(content) <= _MAX_ANSWER_BYTES:
                    content += await response.content.read(_MAX_ANSWER_BYTES + 1 - len(content))
                if len(content) > _MAX_ANSWER_BYTES:
                    raise PodFailed("the answer of the session's pod is too large")
                connection = response.headers.get(CONNECTION_HEADER, "")
                return _Reply(response.status, content, connection)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise TryAgain(f"the pod does not answer: {_text(error)}") from error


class _StreamReply(msgspec.Struct, frozen=True):
    ok: bool = False
    connection: str = ""
    error: str = ""
    message: str = ""


_STREAM_STATUS: Final = {"Busy": 409, "NotReady": 425, "SessionEnded": 410}


def _connection_token(signer: SigningKey, pod: PodRoute, grant: ConnectionGrant) -> str:
    return signer.sign(
        TokenType.CONNECTION,
        audience=pod_audience(pod.uid),
        subject=grant.session_uid,
        claims=grant.to_body(),
    )


def _url(ip: str, port: int, path: str) -> str:
    host = f"[{ip}]" if ":" in ip else ip
    return f"http://{host}:{port}{path}"


def _error_of(body: bytes) -> ErrorBody:
    try:
        return msgspec.json.decode(body, type=ErrorBody)
    except msgspec.DecodeError:
        return ErrorBody(error="Unknown", message="the pod gave no reason")


def _refuse(status: int, body: ErrorBody) -> NoReturn:
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


def _text(error: BaseException) -> str:
    return str(error) or type(error).__name__
