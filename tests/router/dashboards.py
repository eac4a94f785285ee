"""What tests of the dashboard share: bodies as the watches bring them, and people of a cluster."""

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec

from podstream_core.api import SessionKey
from podstream_router.dashboard.board import Entry, read_entry
from podstream_router.routes import SessionRoute
from podstream_router.watch import ApiError
from router.harness import Harness, session_route

ADA = "token-of-ada"
"""May see and create in namespace lab."""
EVE = "token-of-eve"
"""A person of the cluster who may see nothing here."""


def session_entry(session: SessionRoute, **status: Any) -> Entry:
    """The object behind a route."""
    body = {
        "metadata": {
            "name": session.key.name,
            "namespace": session.key.namespace,
            "uid": session.uid,
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "generation": 1,
        },
        "spec": {name: {} for name in session.workloads},
        "status": {"phase": session.phase, **status},
    }
    return read_entry(msgspec.Raw(json.dumps(body).encode()), kind="session")


def show(router: Harness, session: SessionRoute, **status: Any) -> SessionRoute:
    """Put a session into routes and onto the board, as its watch does."""
    router.router.routes.upsert_session(session)
    router.router.board.put(session_entry(session, **status))
    return session


def add(router: Harness, name: str = "ball", **changes: Any) -> SessionRoute:
    """A new session that the dashboard shows."""
    return show(router, session_route(name, **changes))


def know_people(router: Harness) -> None:
    """Let the API server know Ada and Eve."""

    def send(method: str, path: str, body: dict[str, Any], token: str | None) -> bytes:
        if path.endswith("/tokenreviews"):
            assert token is None, "reviews are the router's own"
            given = body["spec"]["token"]
            names = {ADA: "ada", EVE: "eve"}
            if given not in names:
                return b'{"status": {"authenticated": false}}'
            user = {"username": names[given], "groups": ["people"]}
            return json.dumps({"status": {"authenticated": True, "user": user}}).encode()
        if path.endswith("/subjectaccessreviews"):
            allowed = body["spec"]["user"] == "ada"
            assert body["spec"]["groups"] == ["people"]
            return json.dumps({"status": {"allowed": allowed}}).encode()
        raise ApiError(404, f"{method} {path}")

    router.api.on_send = send


def as_person(token: str = ADA) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def events(response: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, Any]]:
    """Events of a stream."""
    name = ""
    async for raw in response.content:
        line = raw.decode().rstrip("\n")
        if line.startswith("event: "):
            name = line[7:]
        elif line.startswith("data: "):
            yield name, json.loads(line[6:])


def gone(router: Harness, session: SessionRoute) -> None:
    """Delete a session, as its watch does."""
    router.router.routes.remove_session(session.key)
    router.router.board.drop(("session", SessionKey(*session.key)))
