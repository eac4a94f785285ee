"""One workload's child process as the agent sees it: start it, call it, follow it, end it."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import aiohttp
import msgspec

from podstream_core.agentapi import ErrorBody, MediaPath
from podstream_core.api import LiveSpec
from podstream_core.api.base import ApiValue
from podstream_workloads.agent.errors import Refusal
from podstream_workloads.agent.processes import ManagedProcess, ProcessTable
from podstream_workloads.agent.wire import (
    MAX_LINE_BYTES,
    Acknowledged,
    ChildResults,
    ConfigureCall,
    ConfigureReply,
    DisconnectCall,
    Event,
    FlushCall,
    Launch,
    MediaPathReply,
    WhepCall,
    WhepReply,
)
from podstream_workloads.agent.workload import Connection

logger = logging.getLogger(__name__)

CONFIGURE_TIMEOUT_S: Final = 60.0
"""Includes the import of the workload's module where the pod is cold."""
CONNECT_TIMEOUT_S: Final = 15.0
DISCONNECT_TIMEOUT_S: Final = 3.0
MOVE_TIMEOUT_S: Final = 1.0
"""The router asks again; what takes longer is of no use."""
UPDATE_TIMEOUT_S: Final = 2.0
"""The operator, which waits for it, gives an agent 3 s."""
DRAIN_TIMEOUT_S: Final = 4.0
"""The child gives its workload 3 s."""
_FLUSH_MARGIN_S: Final = 1.0
_TERMINATE_GRACE_S: Final = 0.7
_LAST_EVENTS_S: Final = 1.0

ReplyT = TypeVar("ReplyT", bound=ApiValue)


class ChildGoneError(Exception):
    """The child ended, hangs, or broke the wire while it was asked."""


class Child:
    """The child process of one workload; started once, never restarted."""

    def __init__(
        self,
        name: str,
        *,
        target: str,
        table: ProcessTable,
        folder: Path,
        log_level: str,
        log_format: str,
    ) -> None:
        """Prepare a child.

        Args:
            name: the workload.
            target: its class, `module:Class`.
            table: where the process is started.
            folder: private folder of the agent, for the unix socket.
            log_level: level of the child's log.
            log_format: `json` or `text`.
        """
        self.name = name
        self._target = target
        self._table = table
        self._path = folder / f"{name}.sock"
        self._log_level = log_level
        self._log_format = log_format
        self._process: ManagedProcess | None = None
        self._channel: socket.socket | None = None
        self._http: aiohttp.ClientSession | None = None
        self.is_stopping = False
        """Set once the agent itself ends the child: its end is no crash then."""

    @property
    def pid(self) -> int | None:
        """Process id, while the process has been started."""
        return None if self._process is None else self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process lives and the agent has not ended it."""
        process = self._process
        return process is not None and not process.exited.done() and not self.is_stopping

    def start(self) -> None:
        """Start the process; it loads its workload at once.

        Raises:
            OSError: no process can be started.
        """
        # The agent makes the listening socket, so that calls need not wait for the child to bind.
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with listener, theirs:
            listener.bind(str(self._path))
            listener.listen(16)
            launch = Launch(
                workload=self.name,
                target=self._target,
                http_fd=listener.fileno(),
                stream_fd=theirs.fileno(),
                agent_pid=os.getpid(),
                log_level=self._log_level,
                log_format=self._log_format,
            )
            self._process = self._table.spawn(
                [
                    sys.executable,
                    "-m",
                    "podstream_workloads.agent.child",
                    msgspec.json.encode(launch).decode(),
                ],
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                pass_fds=[listener.fileno(), theirs.fileno()],
            )
        ours.setblocking(False)
        self._channel = ours
        # One connection for events, the others for calls that may overlap.
        connector = aiohttp.UnixConnector(str(self._path), limit=32)
        self._http = aiohttp.ClientSession(
            "http://child", connector=connector, read_bufsize=MAX_LINE_BYTES
        )

    async def follow(self, on_event: Callable[[Event], None]) -> int:
        """Hand on the child's events until it has ended; return its return code.

        All events that the child has sent before its end are handed on first.
        """
        assert self._process is not None
        events = asyncio.create_task(self._read_events(on_event), name=f"events:{self.name}")
        try:
            code = await asyncio.shield(self._process.exited)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LAST_EVENTS_S):
                    await asyncio.shield(events)
            return code
        finally:
            events.cancel()
            await asyncio.wait([events])

    async def wait_exit(self, *, timeout_s: float) -> bool:
        """Whether the process has ended, now or within the time."""
        assert self._process is not None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await asyncio.shield(self._process.exited)
        return self._process.exited.done()

    async def _read_events(self, on_event: Callable[[Event], None]) -> None:
        assert self._http is not None
        timeout = aiohttp.ClientTimeout(total=None)
        try:
            async with self._http.get("/events", timeout=timeout) as response:
                async for line in response.content:
                    on_event(msgspec.json.decode(line, type=Event))
        except (aiohttp.ClientError, OSError):
            logger.debug("events of %s ended", self.name)
        except RuntimeError:
            # What aiohttp raises where `stop` has closed the connection between two reads.
            if not self.is_stopping:
                raise
        except (msgspec.MsgspecError, ValueError):
            # Without events the agent is blind to this workload: end it, which is then reported.
            logger.exception("workload %s sent an event that cannot be read", self.name)
            self._kill()

    async def configure(self, call: ConfigureCall) -> ConfigureReply:
        """Give the workload its session.

        Raises:
            Refusal: the workload refuses the spec.
            ChildGoneError: no answer.
        """
        return await self._call("/configure", call, ConfigureReply, CONFIGURE_TIMEOUT_S)

    async def connect_whep(self, connection: Connection, *, offer_sdp: str) -> str:
        """Have an offer answered.

        Raises:
            Refusal: the workload refuses the offer.
            ChildGoneError: no answer.
        """
        call = WhepCall(connection=connection, offer_sdp=offer_sdp)
        return (await self._call("/whep", call, WhepReply, CONNECT_TIMEOUT_S)).answer_sdp

    def pass_socket(self, connection: Connection, sock: socket.socket) -> None:
        """Hand over a client's TCP connection; the caller closes its own copy.

        Raises:
            ChildGoneError: the child does not take it.
        """
        assert self._channel is not None
        message = msgspec.json.encode(connection)
        try:
            socket.send_fds(self._channel, [message], [sock.fileno()])
        except OSError as error:
            raise ChildGoneError(f"workload {self.name} takes no connection: {error}") from error

    async def disconnect(self, connection_id: str) -> None:
        """End a connection; a child that is gone has ended it already."""
        call = DisconnectCall(connection_id=connection_id)
        try:
            await self._call("/disconnect", call, Acknowledged, DISCONNECT_TIMEOUT_S)
        except (ChildGoneError, Refusal) as error:
            logger.warning("disconnect failed: %s", error, extra={"workload": self.name})

    async def move_media(self, path: MediaPath) -> bool:
        """Send a connection's media elsewhere; false where the workload has no such connection.

        Raises:
            Refusal: the workload failed.
            ChildGoneError: no answer.
        """
        reply = await self._call("/media-path", path, MediaPathReply, MOVE_TIMEOUT_S)
        return reply.is_moved

    async def update(self, live: LiveSpec) -> ChildResults:
        """Have the workload follow changed members of the spec; return its results then.

        Raises:
            Refusal: the workload refuses.
            ChildGoneError: no answer.
        """
        return await self._call("/spec", live, ChildResults, UPDATE_TIMEOUT_S)

    async def drain(self) -> ChildResults:
        """End all connections and return the final results.

        Raises:
            Refusal: the workload could not tell its results.
            ChildGoneError: no answer.
        """
        return await self._call("/drain", None, ChildResults, DRAIN_TIMEOUT_S)

    async def flush(self, *, seconds: float) -> ChildResults:
        """Bring away what would be lost with the pod, for so long, and return the final results.

        Raises:
            Refusal: the workload could not tell its results.
            ChildGoneError: no answer.
        """
        call = FlushCall(seconds=seconds)
        return await self._call("/flush", call, ChildResults, seconds + _FLUSH_MARGIN_S)

    async def stop(self) -> None:
        """End the process, first with SIGTERM, then with SIGKILL, and wait for its end."""
        self.is_stopping = True
        if self._http is not None:
            await self._http.close()
        if self._channel is not None:
            self._channel.close()
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(_TERMINATE_GRACE_S):
                    await asyncio.shield(self._process.exited)
            except TimeoutError:
                self._kill()
                await asyncio.shield(self._process.exited)
        self._path.unlink(missing_ok=True)

    def _kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)

    async def _call(
        self, path: str, call: ApiValue | None, reply: type[ReplyT], timeout_s: float
    ) -> ReplyT:
        assert self._http is not None
        data = b"" if call is None else msgspec.json.encode(call)
        try:
            async with self._http.post(
                path, data=data, timeout=aiohttp.ClientTimeout(total=timeout_s)
            ) as response:
                body = await response.read()
                status = response.status
        except TimeoutError as error:
            raise ChildGoneError(
                f"workload {self.name}: no answer within {timeout_s:g} s"
            ) from error
        except (aiohttp.ClientError, OSError) as error:
            raise ChildGoneError(
                f"workload {self.name}: {type(error).__name__}: {error}"
            ) from error
        try:
            if status != 200:  # noqa: PLR2004 - HTTP OK
                refused = msgspec.json.decode(body, type=ErrorBody)
                raise Refusal(status, refused.error, refused.message)
            return msgspec.json.decode(body, type=reply)
        except msgspec.MsgspecError as error:
            raise ChildGoneError(f"workload {self.name}: answer cannot be read: {error}") from error
