"""Peers of a tracking site that talk to it through the router, as stock clients do."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from e2e.sessions import Session
from podstream_core.ports import LISTENERS

PATIENCE_S = 30.0


def root(made: Session, *, listener: str = "tracking") -> str:
    """Base URL of a site's own port: that of the cluster's node, or what KIND maps on 127.0.0.1."""
    port = next(item for item in LISTENERS if item.name == listener)
    own = next(item for item in LISTENERS if item.name == "http")
    found = urlsplit(made.endpoint("HTTP"))
    is_node = found.port == own.node_port
    return f"http://{found.hostname}:{port.node_port if is_node else port.host_port}"


@dataclass
class Peer:
    """One WebSocket; numbers keep the form in which they came."""

    socket: aiohttp.ClientWebSocketResponse

    async def say(self, **message: Any) -> None:
        await self.socket.send_str(json.dumps(message))

    async def hears(self, **message: Any) -> None:
        """The next message is this one, number forms included."""
        found = await self.socket.receive_str(timeout=PATIENCE_S)
        assert exact(found) == exact(json.dumps(message)), found

    async def hears_at_last(self, **message: Any) -> None:
        """This message comes, whatever comes before it."""
        wanted, before = exact(json.dumps(message)), []
        while exact(text := await self.socket.receive_str(timeout=PATIENCE_S)) != wanted:
            before.append(text)
            assert len(before) < 20, before


def exact(text: str) -> Any:
    """A message with numbers as they are written: 5.0 is not 5."""
    return json.loads(text, parse_float=str, parse_int=str)
