"""A cluster for the plugin: objects in a dictionary, and watches that say what a test puts in."""

import copy
import io
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self

from podstream_kubectl.__main__ import execute
from podstream_kubectl.arguments import parse
from podstream_kubectl.console import Console
from podstream_kubectl.errors import ExitCode, NotFound, PluginError, Refused
from podstream_kubectl.kubectl import Api

Body = dict[str, Any]
_KINDS = {
    "streamsessions.podstream.dev": "StreamSession",
    "streampools.podstream.dev": "StreamPool",
}


def session_body(name: str = "ball", **changes: Any) -> Body:
    """A session of namespace lab."""
    spec = changes.pop("spec", {"circle": {}})
    return {
        "apiVersion": "podstream.dev/v1alpha1",
        "kind": "StreamSession",
        "metadata": {
            "name": name,
            "namespace": "lab",
            "uid": f"uid-{name}",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "resourceVersion": "1",
        },
        "spec": spec,
        "status": changes,
    }


def completed(name: str = "ball") -> Body:
    """A session that has been scored."""
    circle = {
        "codec": "H264",
        "framesScored": 300,
        "rmsePx": 0.123456,
        "fps": 29.97,
        "latencyMs": {"p50": 4.0, "p95": 8.25, "p99": 9.0},
    }
    return session_body(
        name, phase="Completed", reason="Completed", results={"final": True, "circle": circle}
    )


class FakeEvents:
    """A watch that hands out what it was given, one object a call, and then ends."""

    def __init__(self, bodies: Iterable[Body]) -> None:
        self._bodies = list(bodies)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def wait(self, *, timeout_s: float) -> list[Body]:
        if not self._bodies:
            raise EOFError
        return [self._bodies.pop(0)]


class FakeApi(Api):
    """Objects by kind; `faults` are raised by the next call of a verb."""

    def __init__(self, *objects: Body) -> None:
        self.objects: list[Body] = [copy.deepcopy(item) for item in objects]
        self.patches: list[tuple[str, str, Mapping[str, Any]]] = []
        self.deleted: list[str] = []
        self.created: list[Body] = []
        self.written: dict[str, str] = {}
        """Logs by pod."""
        self.paths: dict[str, Any] = {}
        """Answers of `raw`; a `PluginError` is raised."""
        self.news: list[Body] = []
        """What the next watch says."""
        self.faults: dict[str, list[PluginError]] = {}
        self.on_create: Callable[[Body], None] = lambda _body: None

    @property
    def namespace(self) -> str:
        return "lab"

    def get(self, *arguments: str, cluster_wide: bool = False) -> Body:
        self._fail("get")
        kind, *rest = arguments
        self._fail(f"get {kind}")
        name = rest[0] if rest and not rest[0].startswith("-") else None
        namespace = next((item[3:] for item in rest if item.startswith("-n=")), None)
        selectors = [item.partition("=")[2] for item in rest if item.startswith("--selector=")]
        found = [
            item
            for item in self.objects
            if _is_of(item, kind)
            and namespace in (None, item["metadata"].get("namespace"))
            and all(_matches(item, selector) for selector in selectors)
        ]
        if name is None:
            return {"items": copy.deepcopy(found)}
        for item in found:
            if item["metadata"]["name"] == name:
                return copy.deepcopy(item)
        raise NotFound(f'Error from server (NotFound): {kind} "{name}" not found')

    def raw(self, path: str) -> Body:
        for start, answer in self.paths.items():
            if path.startswith(start):
                if isinstance(answer, PluginError):
                    raise answer
                body: Body = answer
                return body
        raise NotFound("Error from server (NotFound): the server could not find the resource")

    def create(self, body: Mapping[str, Any]) -> Body:
        self._fail("create")
        made = {**session_body(body["metadata"]["name"]), "spec": body["spec"], "status": {}}
        self.objects.append(made)
        self.created.append(dict(body))
        self.on_create(made)
        return made

    def patch(self, kind: str, name: str, *, patch: Mapping[str, Any]) -> Body:
        found = self.get(kind, name)
        self.patches.append((kind, name, patch))
        return found

    def delete(self, kind: str, name: str) -> None:
        self.get(kind, name)
        self.deleted.append(name)

    def logs(self, pod: str, *arguments: str) -> str:
        if pod not in self.written:
            raise Refused(f"no log of {pod}")
        return self.written[pod]

    def follow(self, pod: str, *arguments: str) -> int:
        return 0

    def watch(self, *arguments: str) -> FakeEvents:
        news, self.news = self.news, []
        for body in news:
            self.objects = [item for item in self.objects if not _is_same(item, body)] + [body]
        return FakeEvents(news)

    def _fail(self, what: str) -> None:
        if self.faults.get(what):
            raise self.faults[what].pop(0)


def _is_of(item: Body, kind: str) -> bool:
    wanted = _KINDS.get(kind, kind).lower().rstrip("s")
    return str(item["kind"]).lower() == wanted


def _is_same(item: Body, other: Body) -> bool:
    return (item["kind"], item["metadata"]["name"]) == (other["kind"], other["metadata"]["name"])


def _matches(item: Body, selector: str) -> bool:
    labels = item["metadata"].get("labels") or {}
    wanted = dict(part.split("=", 1) for part in selector.split(","))
    return all(labels.get(key) == value for key, value in wanted.items())


def invoke(api: Api, *arguments: str) -> tuple[ExitCode, str, str]:
    """Run a command line; its exit code and what it wrote to output and error."""
    out, err = io.StringIO(), io.StringIO()
    code = execute(parse(arguments), api=api, console=Console(out=out, err=err))
    return code, out.getvalue(), err.getvalue()
