"""Joins clients' connections to a server of the same process that cannot take over sockets.

Libraries that serve gRPC or HTTP accept connections themselves. So such a server listens on a unix
socket, and each connection that the agent hands over is joined to it in the kernel: bytes,
half-close and back-pressure go through as they are.
"""

import asyncio
import logging
import os
import socket
from pathlib import Path
from typing import Final

from podstream_core.splice import Broken, has_spoken, join
from podstream_workloads.agent.workload import Connection, NotReady, WorkloadContext

logger = logging.getLogger(__name__)

_SOCKET_BUFFER_BYTES: Final = 1 << 20


class Joints:
    """The connections of one workload."""

    def __init__(self, path: Path, *, context: WorkloadContext) -> None:
        """Prepare.

        Args:
            path: the server's unix socket.
            context: hears what becomes of connections.
        """
        self._path = path
        self._context = context
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def add(self, connection: Connection, sock: socket.socket) -> None:
        """Take a connection over; it is established once the client has said something.

        Raises:
            NotReady: the server takes none.
        """
        inner = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                inner.setsockopt(socket.SOL_SOCKET, option, _SOCKET_BUFFER_BYTES)
            await asyncio.get_running_loop().sock_connect(inner, str(self._path))
        except OSError as error:
            inner.close()
            sock.close()
            raise NotReady(f"the workload's server takes no connection: {error}") from error
        self._tasks[connection.id] = asyncio.create_task(
            self._serve(connection, sock, inner), name=connection.id
        )

    async def end(self, connection_id: str) -> None:
        """End a connection; the server sees it go."""
        task = self._tasks.pop(connection_id, None)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def end_all(self) -> None:
        """End every connection."""
        for connection_id in list(self._tasks):
            await self.end(connection_id)

    async def _serve(
        self, connection: Connection, sock: socket.socket, inner: socket.socket
    ) -> None:
        reason = "the client left"
        try:
            with sock, inner:
                if await has_spoken(sock):
                    self._context.established(connection.id)
                    received, sent = await join(sock, inner)
                    logger.info(
                        "client left",
                        extra={
                            "connection": connection.id,
                            "role": connection.role,
                            "received": received,
                            "sent": sent,
                        },
                    )
        except Broken as error:
            reason = str(error)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
        if self._tasks.pop(connection.id, None) is not None:
            self._context.lost(connection.id, reason=reason)
