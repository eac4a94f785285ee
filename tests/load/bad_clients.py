"""Clients that mean no good, or know no better: what a port in the open meets every minute."""

import asyncio
import io
import secrets
import socket
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import aiohttp

from load.site import NAMESPACE

_PATIENCE_S = 5.0


@dataclass
class BadClients:
    """Attacks on a router, one after another; each is a small and a complete one."""

    http: aiohttp.ClientSession
    router_url: str
    pool: str
    signalling: tuple[str, int]
    media: tuple[str, int]
    seen: Counter[str] = field(default_factory=Counter)
    """What was tried and what came of it."""

    async def run(self, *, pause_s: float) -> None:
        """Go round until cancelled."""
        attacks: list[tuple[str, Callable[[], Awaitable[str]]]] = [
            ("no SDP", lambda: self._post("pool", b"v=0\r\nthis is no SDP\r\n")),
            ("binary body", lambda: self._post("pool", secrets.token_bytes(2000))),
            ("endless body", lambda: self._post("pool", b"a" * (1 << 21))),
            ("unknown session", lambda: self._post("unknown", b"v=0\r\n")),
            ("forged token", lambda: self._post("pool", b"v=0\r\n", token="e30.e30.AAAA")),
            ("slow header", self._slow_header),
            ("garbage line", lambda: self._line(secrets.token_bytes(500) + b"\n")),
            ("no line", lambda: self._line(b"{" * 100_000)),
            ("datagrams", self._datagrams),
        ]
        while True:
            for name, attack in attacks:
                outcome = "no answer"
                with suppress(aiohttp.ClientError, OSError, TimeoutError):
                    async with asyncio.timeout(_PATIENCE_S):
                        outcome = await attack()
                self.seen[f"{name}: {outcome}"] += 1
                await asyncio.sleep(pause_s)

    async def _post(self, target: str, body: bytes, *, token: str | None = None) -> str:
        path = f"p/{NAMESPACE}/{self.pool}" if target == "pool" else f"s/{NAMESPACE}/{target}"
        headers = {"Content-Type": "application/sdp"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        url = f"{self.router_url}/{path}/whep"
        async with self.http.post(url, data=io.BytesIO(body), headers=headers) as reply:
            await reply.read()
            assert reply.status >= 400, f"{target} was answered {reply.status}"
            return str(reply.status)

    async def _slow_header(self) -> str:
        """A request that never ends; the socket is left to the router's patience."""
        parts = urlsplit(self.router_url)
        _, writer = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            for character in b"POST /p/":
                writer.write(bytes([character]))
                await writer.drain()
                await asyncio.sleep(0.1)
        finally:
            writer.close()
        return "left"

    async def _line(self, text: bytes) -> str:
        reader, writer = await asyncio.open_connection(*self.signalling)
        try:
            writer.write(text)
            await writer.drain()
            answer = await reader.read(200)
        finally:
            writer.close()
        return "closed" if not answer else "answered"

    async def _datagrams(self) -> str:
        """Noise, and STUN checks for a pod that does not exist."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for _ in range(50):
                sock.sendto(secrets.token_bytes(100), self.media)
                stun = b"\x00\x01\x00\x00\x21\x12\xa4\x42" + secrets.token_bytes(12)
                sock.sendto(stun, self.media)
        return "sent"
