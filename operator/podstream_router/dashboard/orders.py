"""What people do with their own token: create sessions, read a session's token and events.

The router lends its connection only: the API server sees the person, and its RBAC decides.
"""

import base64
import binascii
from typing import Final

import msgspec
from aiohttp import web

from podstream_core import names
from podstream_core.api import SessionKey
from podstream_router.dashboard.asking import ask, strictly
from podstream_router.dashboard.callers import Doorkeeper, Member
from podstream_router.dashboard.paths import key_of
from podstream_router.dashboard.people import Person, Sender
from podstream_router.dashboard.reading import answer
from podstream_router.errors import BadRequest, Forbidden
from podstream_router.http import read_text
from podstream_router.watch import sessions_in

MAX_SPEC_BYTES: Final = 256 * 1024
_MAX_EVENTS: Final = 50


class NewSession(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """Body of `POST /api/v1/sessions`."""

    namespace: str
    name: str
    spec: msgspec.Raw
    dry_run: bool = False
    """Whether the API only checks it."""


class _Involved(msgspec.Struct):
    uid: str = ""


class _Event(msgspec.Struct, rename="camel"):
    type: str = ""
    reason: str = ""
    message: str = ""
    event_time: str | None = None
    last_timestamp: str | None = None
    involved_object: _Involved = msgspec.field(default_factory=_Involved)


class _Events(msgspec.Struct):
    items: list[_Event]


class _Secret(msgspec.Struct):
    data: dict[str, str] = {}


class _Access(msgspec.Struct, rename="camel"):
    secret_name: str = ""


class _Status(msgspec.Struct):
    access: _Access = msgspec.field(default_factory=_Access)


class _Shown(msgspec.Struct):
    status: _Status = msgspec.field(default_factory=_Status)


class Orders:
    """Handlers."""

    def __init__(self, *, door: Doorkeeper, api: Sender) -> None:
        self._door = door
        self._api = api

    async def create(self, request: web.Request) -> web.Response:
        """`POST /api/v1/sessions`: answers with the API's own validation messages."""
        person = await self._person(request)
        text = await read_text(request, content_type="application/json", limit=MAX_SPEC_BYTES)
        try:
            wanted = msgspec.json.decode(text, type=NewSession)
            key = SessionKey.parse(f"{wanted.namespace}/{wanted.name}")
        except (msgspec.DecodeError, ValueError) as error:
            raise BadRequest(f"the body cannot be read: {error}") from error
        body = {
            "apiVersion": names.API_VERSION,
            "kind": names.SESSION_KIND,
            "metadata": {"name": key.name, "namespace": key.namespace},
            "spec": msgspec.json.decode(wanted.spec),
        }
        await ask(
            self._api,
            "POST",
            sessions_in(key.namespace).path,
            token=person.token,
            query=strictly(dry_run=wanted.dry_run),
            body=body,
        )
        return answer({"namespace": key.namespace, "name": key.name}, status=201)

    async def token(self, request: web.Request) -> web.Response:
        """`GET .../token`: the session's client token, for who may read its Secret."""
        person = await self._person(request)
        key = key_of(request)
        entry = self._door.session(Member(person), key)
        secret_name = msgspec.json.decode(entry.body, type=_Shown).status.access.secret_name
        if not secret_name:
            raise BadRequest(f"session {key} has no Secret (yet)")
        path = f"/api/v1/namespaces/{key.namespace}/secrets/{secret_name}"
        secret = msgspec.json.decode(
            await ask(self._api, "GET", path, token=person.token), type=_Secret
        )
        try:
            token = base64.b64decode(secret.data[names.SECRET_TOKEN_KEY], validate=True).decode()
        except (KeyError, binascii.Error, UnicodeDecodeError) as error:
            raise BadRequest(f"Secret {secret_name} holds no token") from error
        return answer({"token": token})

    async def events(self, request: web.Request) -> web.Response:
        """`GET .../kubernetes-events`: the latest ones about the session, the latest last."""
        person = await self._person(request)
        key = key_of(request)
        entry = self._door.session(Member(person), key)
        # The core group: the built-in roles view and edit have no rights in events.k8s.io.
        path = f"/api/v1/namespaces/{key.namespace}/events"
        query = {"fieldSelector": f"involvedObject.name={key.name}", "limit": "500"}
        found = msgspec.json.decode(
            await ask(self._api, "GET", path, token=person.token, query=query), type=_Events
        )
        items = [
            {
                "at": event.event_time or event.last_timestamp or "",
                "type": event.type,
                "reason": event.reason,
                "note": event.message,
            }
            for event in found.items
            if event.involved_object.uid == entry.uid
        ]
        return answer({"items": sorted(items, key=lambda item: item["at"])[-_MAX_EVENTS:]})

    async def _person(self, request: web.Request) -> Person:
        caller = await self._door.identify(request)
        if not isinstance(caller, Member):
            raise Forbidden("this needs a Kubernetes login: a session's token opens one session")
        return caller.person
