"""The child's side of the wire: calls over HTTP, events as lines, sockets as descriptors."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from aiohttp import web

from podstream_core.agentapi import ErrorBody, MediaPath
from podstream_core.api import LiveSpec
from podstream_core.api.base import ApiValue
from podstream_core.logs import set_process_log_fields
from podstream_workloads.agent.child.reports import ChildContext, Reports
from podstream_workloads.agent.wire import (
    MAX_CALL_BYTES,
    MAX_LINE_BYTES,
    Acknowledged,
    ConfigureCall,
    ConfigureReply,
    DisconnectCall,
    Event,
    EventKind,
    FlushCall,
    MediaPathReply,
    WhepCall,
    WhepReply,
)
from podstream_workloads.agent.workload import Connection, Workload, WorkloadError

logger = logging.getLogger(__name__)

DRAIN_TIMEOUT_S: Final = 3.0
"""What a workload may take to end its connections; the pod has 10 s in all."""

CallT = TypeVar("CallT", bound=ApiValue)


class ChildServer:
    """Serves one workload to its agent."""

    def __init__(self, workload: Workload, *, group: asyncio.TaskGroup) -> None:
        self._workload = workload
        self._group = group
        self._reports = Reports()
        self.agent_gone = asyncio.Event()
        """Set when the agent has closed the stream of events: nobody is left to work for."""

    def build_app(self) -> web.Application:
        """Routes of the unix socket."""
        app = web.Application(client_max_size=MAX_CALL_BYTES, middlewares=[_report_errors])
        app.router.add_get("/events", self._events)
        app.router.add_post("/configure", self._configure)
        app.router.add_post("/whep", self._whep)
        app.router.add_post("/disconnect", self._disconnect)
        app.router.add_post("/media-path", self._media_path)
        app.router.add_post("/spec", self._update)
        app.router.add_post("/drain", self._drain)
        app.router.add_post("/flush", self._flush)
        return app

    async def send_results(self) -> None:
        """Send figures whenever they change; runs as long as the child."""
        await self._reports.send_results(self._workload)

    def receive_socket(self, channel: socket.socket) -> None:
        """Take one TCP connection from the agent; to be called when the channel is readable."""
        try:
            message, fds, _flags, _address = socket.recv_fds(channel, MAX_LINE_BYTES, 4)
        except BlockingIOError:
            return
        if not message:
            asyncio.get_running_loop().remove_reader(channel)
            self.agent_gone.set()
            return
        socks = [socket.socket(fileno=fd) for fd in fds]
        for extra in socks[1:]:
            extra.close()
        connection = msgspec.json.decode(message, type=Connection)
        socks[0].setblocking(False)
        self._group.create_task(self._stream(connection, socks[0]), name=f"stream:{connection.id}")

    async def _stream(self, connection: Connection, sock: socket.socket) -> None:
        try:
            await self._workload.connect_stream(connection, sock=sock)
        except WorkloadError as error:
            sock.close()
            self._put_lost(connection, f"{error.code}: {error}")
        except Exception as error:
            logger.exception("the workload failed to take a connection")
            sock.close()
            self._put_lost(connection, f"{type(error).__name__}: {error}")

    def _put_lost(self, connection: Connection, reason: str) -> None:
        self._reports.put(
            Event(kind=EventKind.LOST, connection_id=connection.id, reason=reason[:500])
        )

    async def _events(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        hello = Event(kind=EventKind.HELLO, roles=dict(self._workload.roles))
        try:
            await response.write(msgspec.json.encode(hello) + b"\n")
            while True:
                event = await self._reports.next_event()
                await response.write(msgspec.json.encode(event) + b"\n")
        except ConnectionError:
            return response
        finally:
            self.agent_gone.set()

    async def _configure(self, request: web.Request) -> web.Response:
        call = await _read(request, ConfigureCall)
        set_process_log_fields(namespace=call.session.namespace, session=call.session.name)
        context = ChildContext(
            self._reports,
            session=call.session,
            media=call.media,
            artefact_dir=Path(call.artefact_dir),
            volumes_dir=Path(call.volumes_dir),
            shared_dir=Path(call.shared_dir),
        )
        await self._workload.configure(call.spec, context)
        workload = self._workload
        reply = ConfigureReply(
            is_finite=workload.is_finite,
            roles=dict(workload.capacities),
            observers=sorted(workload.observers),
            flush_seconds=workload.flush_seconds,
        )
        return _reply(reply)

    async def _whep(self, request: web.Request) -> web.Response:
        call = await _read(request, WhepCall)
        answer = await self._workload.connect_whep(call.connection, offer_sdp=call.offer_sdp)
        return _reply(WhepReply(answer_sdp=answer))

    async def _disconnect(self, request: web.Request) -> web.Response:
        call = await _read(request, DisconnectCall)
        await self._workload.disconnect(call.connection_id)
        return _reply(Acknowledged())

    async def _media_path(self, request: web.Request) -> web.Response:
        call = await _read(request, MediaPath)
        address = (call.address, call.address_port)
        is_moved = await self._workload.move_media(port=call.port, address=address)
        return _reply(MediaPathReply(is_moved=is_moved))

    async def _update(self, request: web.Request) -> web.Response:
        await self._workload.update(await _read(request, LiveSpec))
        return _reply(await self._reports.pack(await self._workload.results()))

    async def _drain(self, _request: web.Request) -> web.Response:
        try:
            async with asyncio.timeout(DRAIN_TIMEOUT_S):
                await self._workload.drain()
        except TimeoutError:
            logger.error("the workload did not drain within %s s", DRAIN_TIMEOUT_S)
        except Exception:
            logger.exception("the workload failed to drain")
        return _reply(await self._reports.pack(await self._workload.results()))

    async def _flush(self, request: web.Request) -> web.Response:
        call = await _read(request, FlushCall)
        try:
            async with asyncio.timeout(call.seconds):
                await self._workload.flush()
        except TimeoutError:
            logger.error("the workload did not flush within %s s", call.seconds)
        except Exception:
            logger.exception("the workload failed to flush")
        return _reply(await self._reports.pack(await self._workload.results()))


@web.middleware
async def _report_errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except WorkloadError as error:
        return _error(error.status, error.code, str(error))
    except msgspec.ValidationError as error:
        return _error(422, "SpecRejected", str(error))
    except (web.HTTPException, asyncio.CancelledError):
        raise
    except Exception as error:
        logger.exception("the workload failed in %s", request.path)
        return _error(500, "WorkloadFailed", f"{type(error).__name__}: {error}"[:2000])


def _error(status: int, code: str, message: str) -> web.Response:
    body = ErrorBody(error=code, message=message).to_body()
    return web.json_response(body, status=status)


async def _read(request: web.Request, kind: type[CallT]) -> CallT:
    return msgspec.json.decode(await request.read(), type=kind)


def _reply(value: ApiValue) -> web.Response:
    # Without `json.dumps`' NaN, which is no JSON: msgspec writes null.
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")
