"""A small Kubernetes API server for tests: real HTTP, everything else in dicts.

It knows discovery, list, watch (with replay since a resource version: without it, events between
a list and its watch are lost), create, get, replace, merge-patch, `/status`, delete with
preconditions and garbage collection by owner references. It counts writes and fails on demand. It
validates nothing: that is what a real cluster is for.
"""

import asyncio
import copy
import json
import re
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

Body = dict[str, Any]

CORE = {"pods": "Pod", "secrets": "Secret", "namespaces": "Namespace"}
GROUPS: dict[str, dict[str, str]] = {
    "podstream.dev/v1alpha1": {
        "streamsessions": "StreamSession",
        "streampools": "StreamPool",
    },
    "apiextensions.k8s.io/v1": {"customresourcedefinitions": "CustomResourceDefinition"},
    "events.k8s.io/v1": {"events": "Event"},
    "coordination.k8s.io/v1": {"leases": "Lease"},
}
KINDS = CORE | {plural: kind for group in GROUPS.values() for plural, kind in group.items()}
CLUSTER_SCOPED = {"namespaces", "customresourcedefinitions"}
VERBS = ["create", "delete", "get", "list", "patch", "watch"]


@dataclass
class Fault:
    """Answers matching requests with an error; with status 0 not at all."""

    method: str
    path: re.Pattern[str]
    status: int
    times: int
    headers: dict[str, str] = field(default_factory=dict)
    message: str = "injected"
    after: bool = False
    """The change is made, and its answer lost."""
    delay_s: float = 0.0
    """The answer comes so late, whatever it is; with `status` 200 it is the right one."""


@dataclass(frozen=True)
class Write:
    """A request that changed, or tried to change, something."""

    method: str
    resource: str
    name: str
    status: int
    body: Body


class FakeKubeApi:
    """State of the fake cluster and what was done to it."""

    def __init__(self, *, serves_sessions: bool = True, now: Callable[[], datetime]) -> None:
        self._objects: dict[tuple[str, str, str], Body] = {}
        self._log: list[tuple[int, str, str, str, Body, Body]] = []
        """Version, resource, namespace, event, the object, and the object before."""
        self._version = 100
        self._changed = asyncio.Condition()
        self._faults: list[Fault] = []
        self._watch_epoch = 0
        self._oldest_version = 0
        self.serves_sessions = serves_sessions
        self._now = now
        self.frozen_watches = False
        self.writes: list[Write] = []
        self.lease_writes: list[Write] = []
        """Kept apart: they come by the clock and belong to no session."""
        self.requests: list[str] = []
        self.url = ""

    # What tests do

    def writes_of(self, resource: str) -> list[Write]:
        """Successful writes to a resource."""
        return [item for item in self.writes if item.resource == resource and item.status < 300]

    def life_writes(self) -> list[tuple[str, str]]:
        """Every successful write but Events."""
        return [
            (item.method, item.resource)
            for item in self.writes
            if item.status < 300 and item.resource != "events"
        ]

    def fail(
        self,
        method: str,
        path: str,
        *,
        status: int,
        times: int = 1,
        headers: dict[str, str] | None = None,
        message: str = "injected",
        after: bool = False,
        delay_s: float = 0.0,
    ) -> Fault:
        """Let the next requests of this kind fail."""
        pattern = re.compile(path)
        fault = Fault(method, pattern, status, times, headers or {}, message, after, delay_s)
        self._faults.append(fault)
        return fault

    def clear_faults(self) -> None:
        """Let everything succeed again."""
        self._faults.clear()

    async def drop_watches(self, *, gone: bool = False) -> None:
        """End all watches; with `gone`, resuming them is answered with 410."""
        async with self._changed:
            self._watch_epoch += 1
            if gone:
                self._oldest_version = self._version
            self._changed.notify_all()

    def get(self, resource: str, namespace: str, name: str) -> Body | None:
        """An object."""
        found = self._objects.get((resource, namespace, name))
        return copy.deepcopy(found)

    def all(self, resource: str) -> list[Body]:
        """All objects of a resource."""
        return [
            copy.deepcopy(body) for (kind, _, _), body in self._objects.items() if kind == resource
        ]

    async def create(self, resource: str, body: Body) -> Body:
        """Create an object as somebody else."""
        created = self._insert(resource, body["metadata"].get("namespace", ""), body)
        await self._notify()
        return created

    async def edit(
        self, resource: str, namespace: str, name: str, change: Callable[[Body], None]
    ) -> Body:
        """Change an object as somebody else."""
        body = copy.deepcopy(self._objects[resource, namespace, name])
        change(body)
        self._store(resource, namespace, body, kind="MODIFIED")
        await self._notify()
        return copy.deepcopy(body)

    async def remove(
        self, resource: str, namespace: str, name: str, *, orphan: bool = False, quiet: bool = False
    ) -> None:
        """Delete an object as somebody else; `quiet` hides it from watches."""
        self._delete(resource, namespace, name, orphan=orphan, quiet=quiet)
        await self._notify()

    async def wait_for_change(self, version: int) -> int:
        """Wait until something was stored after a version; the newest version."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._version > version)
        return self._version

    # The store

    def _next(self) -> str:
        self._version += 1
        return str(self._version)

    def _insert(self, resource: str, namespace: str, body: Body) -> Body:
        body = copy.deepcopy(body)
        metadata = body["metadata"]
        if "name" not in metadata:
            metadata["name"] = metadata["generateName"] + uuid.uuid4().hex[:5]
        metadata.setdefault("namespace", namespace)
        metadata.setdefault("uid", str(uuid.uuid4()))
        metadata.setdefault("generation", 1)
        created = self._now().strftime("%Y-%m-%dT%H:%M:%SZ")
        metadata.setdefault("creationTimestamp", created)
        if resource == "pods":
            body.setdefault("status", {"phase": "Pending"})
        self._store(resource, namespace, body, kind="ADDED")
        return copy.deepcopy(body)

    def _store(self, resource: str, namespace: str, body: Body, *, kind: str) -> None:
        body["metadata"]["resourceVersion"] = self._next()
        key = (resource, namespace, body["metadata"]["name"])
        before = self._objects.get(key, body)
        self._objects[key] = body
        self._log.append((self._version, resource, namespace, kind, copy.deepcopy(body), before))

    def _delete(
        self, resource: str, namespace: str, name: str, *, orphan: bool = False, quiet: bool = False
    ) -> None:
        body = self._objects.pop((resource, namespace, name))
        body["metadata"]["resourceVersion"] = self._next()
        if not quiet:
            self._log.append((self._version, resource, namespace, "DELETED", body, body))
        uid = body["metadata"]["uid"]
        for (kind, space, child), item in list(self._objects.items()):
            owners = item["metadata"].get("ownerReferences") or []
            if not any(owner["uid"] == uid for owner in owners):
                continue
            if orphan:
                item["metadata"]["ownerReferences"] = []
                self._store(kind, space, item, kind="MODIFIED")
            else:
                self._delete(kind, space, child, quiet=quiet)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    # HTTP

    def _fault(self, method: str, path: str) -> Fault | None:
        for fault in self._faults:
            if fault.times and fault.method == method and fault.path.search(path):
                fault.times -= 1
                return fault
        return None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer any request."""
        parts = [part for part in request.path.split("/") if part]
        watching = request.query.get("watch") == "true"
        self.requests.append(f"{'WATCH' if watching else request.method} {request.path}")
        body = await request.json() if request.can_read_body else {}
        fault = self._fault("WATCH" if watching else request.method, request.path)
        if fault is not None and fault.status == 0:
            await asyncio.Event().wait()  # until the client has gone
        if fault is not None and fault.delay_s:
            await asyncio.sleep(fault.delay_s)
        if fault is not None and fault.status == 200:
            fault = None
        if fault is not None and not fault.after:
            response = _failure(fault.status, fault.message, headers=fault.headers)
        elif watching:
            return await self._watch(request, parts)
        else:
            response = self._answer(request, parts, body)
            if fault is not None:
                response = _failure(fault.status, fault.message, headers=fault.headers)
        if request.method != "GET":
            resource, _, name, sub = _target(parts)
            kept = self.lease_writes if resource == "leases" else self.writes
            kept.append(
                Write(
                    request.method,
                    f"{resource}/{sub}" if sub else resource,
                    name or body.get("metadata", {}).get("name", ""),
                    response.status,
                    body,
                )
            )
        await self._notify()
        return response

    def _answer(self, request: web.Request, parts: list[str], body: Body) -> web.Response:
        discovery = self._discovery(parts)
        if discovery is not None:
            return web.json_response(discovery)
        resource, namespace, name, sub = _target(parts)
        if resource not in KINDS:
            return _failure(404, "no such resource")
        if request.method == "POST":
            return self._post(resource, namespace, body)
        if not name:
            return self._list(request, resource, namespace)
        stored = self._objects.get((resource, namespace, name))
        if stored is None:
            return _failure(404, f"{resource} {name} not found")
        if request.method == "GET":
            return web.json_response(stored)
        if request.method == "PATCH":
            return self._patch(resource, namespace, stored, body, sub=sub)
        if request.method == "PUT":
            return self._put(resource, namespace, stored, body)
        uid = (body.get("preconditions") or {}).get("uid")
        if uid and uid != stored["metadata"]["uid"]:
            return _failure(409, "Precondition failed: UID in precondition")
        if resource == "pods" and stored.get("status", {}).get("phase") == "Running":
            # A running container is told to stop first: its kubelet deletes the pod afterwards.
            stored["metadata"]["deletionTimestamp"] = self._now().strftime("%Y-%m-%dT%H:%M:%SZ")
            self._store(resource, namespace, stored, kind="MODIFIED")
        else:
            self._delete(resource, namespace, name)
        return web.json_response({"kind": "Status", "status": "Success"})

    def _discovery(self, parts: list[str]) -> Body | None:
        match parts:
            case ["api"]:
                return {"versions": ["v1"]}
            case ["api", "v1"]:
                return _resources("v1", CORE)
            case ["apis"]:
                return {"groups": [_group(name) for name in self._groups()]}
            case ["apis", group, version] if f"{group}/{version}" in self._groups():
                name = f"{group}/{version}"
                return _resources(name, GROUPS[name])
        return None

    def _groups(self) -> list[str]:
        return [name for name in GROUPS if self.serves_sessions or not name.startswith("podstream")]

    def _post(self, resource: str, namespace: str, body: Body) -> web.Response:
        if (resource, namespace, body["metadata"].get("name")) in self._objects:
            return _failure(409, f"{resource} {body['metadata']['name']} already exists")
        return web.json_response(self._insert(resource, namespace, body), status=201)

    def _list(self, request: web.Request, resource: str, namespace: str) -> web.Response:
        selector = request.query.get("labelSelector")
        items = [
            body
            for (kind, space, _), body in self._objects.items()
            if kind == resource and space == namespace and _selected(body, selector)
        ]
        begin = int(request.query.get("continue") or 0)
        end = begin + (int(request.query.get("limit") or 0) or len(items))
        metadata = {"resourceVersion": str(self._version)}
        if end < len(items):
            metadata["continue"] = str(end)
        kind, shown = f"{KINDS[resource]}List", items[begin:end]
        if "as=PartialObjectMetadataList" in request.headers.get("Accept", ""):
            kind = "PartialObjectMetadataList"
            shown = [{"metadata": body["metadata"]} for body in shown]
        return web.json_response(
            {"kind": kind, "apiVersion": "v1", "metadata": metadata, "items": shown}
        )

    def _put(self, resource: str, namespace: str, stored: Body, body: Body) -> web.Response:
        if body["metadata"].get("resourceVersion") != stored["metadata"]["resourceVersion"]:
            return _failure(409, "the object has been modified")
        if body != stored:
            self._store(resource, namespace, body, kind="MODIFIED")
        return web.json_response(body)

    def _patch(
        self, resource: str, namespace: str, stored: Body, patch: Body, *, sub: str
    ) -> web.Response:
        uid = patch.get("metadata", {}).get("uid")
        if uid and uid != stored["metadata"]["uid"]:
            return _failure(409, "Precondition failed: UID in precondition: does not match")
        changed = copy.deepcopy(stored)
        if sub == "status":
            changed["status"] = _merged(stored.get("status", {}), patch.get("status", {}))
        else:
            changed = _merged(stored, patch)
        if changed != stored:
            self._store(resource, namespace, changed, kind="MODIFIED")
        return web.json_response(changed)

    async def _watch(self, request: web.Request, parts: list[str]) -> web.StreamResponse:
        resource, namespace, _, _ = _target(parts)
        since = int(request.query.get("resourceVersion", self._version))
        selector = request.query.get("labelSelector")
        epoch = self._watch_epoch
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        if since < self._oldest_version:
            error = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
            await response.write(_line({"type": "ERROR", "object": error}))
            return response
        while self._watch_epoch == epoch:
            for version, kind, space, event, body, before in self._log:
                if version <= since or self.frozen_watches:
                    continue
                if kind == resource and space == namespace and _selected(before, selector):
                    # What a watch's selector no longer matches is gone for that watch.
                    stays = _selected(body, selector)
                    told = event if stays else "DELETED"
                    await response.write(_line({"type": told, "object": body}))
                elif kind == resource and space == namespace and _selected(body, selector):
                    await response.write(_line({"type": "ADDED", "object": body}))
                since = version
            async with self._changed:
                if self._log and self._log[-1][0] > since and not self.frozen_watches:
                    continue
                if self._watch_epoch == epoch:
                    await self._changed.wait()
        return response


def _target(parts: list[str]) -> tuple[str, str, str, str]:
    """Resource, namespace, name and subresource of a path."""
    rest = parts[2:] if parts[0] == "api" else parts[3:]
    namespace = ""
    if len(rest) >= 3 and rest[0] == "namespaces":
        namespace, rest = rest[1], rest[2:]
    padded = [*rest, "", "", ""]
    return padded[0], namespace, padded[1], padded[2]


def _group(name: str) -> Body:
    group, version = name.split("/")
    entry = {"groupVersion": name, "version": version}
    return {"name": group, "versions": [entry], "preferredVersion": entry}


def _resources(version: str, plurals: dict[str, str]) -> Body:
    entries = []
    for plural, kind in plurals.items():
        entry = {
            "name": plural,
            "singularName": kind.lower(),
            "kind": kind,
            "namespaced": plural not in CLUSTER_SCOPED,
            "verbs": VERBS,
        }
        entries += [entry, {**entry, "name": f"{plural}/status", "verbs": ["get", "patch"]}]
    return {"kind": "APIResourceList", "groupVersion": version, "resources": entries}


def _selected(body: Body, selector: str | None) -> bool:
    """Whether a selector of the form `key` or `key=value` matches."""
    if not selector:
        return True
    key, equals, value = selector.partition("=")
    labels = body["metadata"].get("labels") or {}
    return key in labels and (not equals or labels[key] == value)


def _merged(target: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _merged(result.get(key), value)
    return result


def _failure(status: int, message: str, *, headers: dict[str, str] | None = None) -> web.Response:
    reasons = {403: "Forbidden", 404: "NotFound", 409: "Conflict", 422: "Invalid"}
    body = {
        "kind": "Status",
        "status": "Failure",
        "message": message,
        "reason": reasons.get(status, ""),
        "code": status,
    }
    return web.json_response(body, status=status, headers=headers or {})


def _line(event: Body) -> bytes:
    return json.dumps(event).encode() + b"\n"


@asynccontextmanager
async def running_kube_api(
    *, now: Callable[[], datetime] = lambda: datetime.now(UTC), serves_sessions: bool = True
) -> AsyncIterator[FakeKubeApi]:
    """A fake API server on a free port of the loopback."""
    api = FakeKubeApi(serves_sessions=serves_sessions, now=now)
    app = web.Application(client_max_size=2**24)
    app.router.add_route("*", "/{path:.*}", api.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    api.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield api
    finally:
        await api.drop_watches()
        await runner.cleanup()
