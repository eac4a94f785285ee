"""Puts the dashboard together and adds it to the router's HTTP application."""

import time
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from podstream_core.tokens import PublicKeys
from podstream_router.admission import Places, RateLimit
from podstream_router.agent import AgentClient
from podstream_router.dashboard import paths
from podstream_router.dashboard.board import Board
from podstream_router.dashboard.callers import Doorkeeper
from podstream_router.dashboard.control import Control
from podstream_router.dashboard.files import Files
from podstream_router.dashboard.live import LiveResults
from podstream_router.dashboard.orders import Orders
from podstream_router.dashboard.pages import Pages
from podstream_router.dashboard.people import People, Sender
from podstream_router.dashboard.reading import Reading
from podstream_router.dashboard.stream import EventStreams
from podstream_router.hints import Hints
from podstream_router.passes import Passes
from podstream_router.routes import RouteTable
from podstream_router.settings import Settings

STREAMS_PER_SOURCE: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the dashboard needs of the router."""

    board: Board
    routes: RouteTable
    agent: AgentClient
    api: Sender
    client_keys: PublicKeys
    passes: Passes
    hints: Hints
    settings: Settings


class Dashboard:
    """Page and API."""

    def __init__(self, parts: Parts) -> None:
        settings, people = parts.settings, None
        streams = settings.limits.dashboard_streams
        if settings.admin_login:
            people = People(parts.api, namespaces=settings.namespaces, clock=time.monotonic)
        self._door = Doorkeeper(
            board=parts.board,
            keys=parts.client_keys,
            people=people,
            rate=RateLimit(per_second=settings.limits.requests_per_second, clock=time.monotonic),
        )
        self._reading = Reading(board=parts.board, door=self._door)
        self._files = Files(
            door=self._door, routes=parts.routes, agent=parts.agent, passes=parts.passes
        )
        self._orders = Orders(door=self._door, api=parts.api)
        self._control = Control(
            door=self._door,
            routes=parts.routes,
            agent=parts.agent,
            api=parts.api,
            hints=parts.hints,
        )
        self._streams = EventStreams(
            board=parts.board,
            door=self._door,
            live=LiveResults(routes=parts.routes, agent=parts.agent),
            places=Places(total=streams, per_source=min(streams, STREAMS_PER_SOURCE)),
        )

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        Pages().add_to(app)
        router = app.router
        router.add_get(f"{paths.API}/me", self._reading.me)
        router.add_get(paths.SESSIONS, self._reading.sessions)
        router.add_get(paths.SESSION, self._reading.session)
        router.add_get(paths.POOLS, self._reading.pools)
        router.add_post(paths.SESSIONS, self._orders.create)
        router.add_get(f"{paths.SESSION}/token", self._orders.token)
        router.add_get(f"{paths.SESSION}/kubernetes-events", self._orders.events)
        router.add_get(f"{paths.SESSION}/files", self._files.list)
        router.add_post(f"{paths.SESSION}/files/pass", self._files.give_pass)
        router.add_post(f"{paths.SESSION}/end", self._control.end)
        router.add_post(f"{paths.SESSION}/stream", self._control.stream)
        router.add_post(f"{paths.SESSION}/recording", self._control.recording)
        router.add_get(f"{paths.API}/events", self._streams.everything, allow_head=False)
        router.add_get(f"{paths.SESSION}/events", self._streams.session, allow_head=False)

    def close(self) -> None:
        """End the streams of open pages."""
        self._streams.close()
