"""Reads a StreamSession, or one of a StreamPool, from a YAML file as strictly as the API server.

The API server refuses what the CRD does not know; here the same fields, defaults and bounds come
from the typed API values, and every unknown field is named with its path.
"""

import difflib
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from podstream_core.api import AccessMode, Metadata, PoolSpec, SessionSpec, StreamSession
from podstream_core.names import API_VERSION, POOL_KIND, SESSION_KIND

DEFAULT_NAMESPACE: Final = "default"
_MAX_NAME_CHARS: Final = 45
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?\Z")
_ERROR_PATH: Final = re.compile(r"(?P<what>.*) - at `\$(?P<path>[^`]*)`\Z", re.DOTALL)
_TOP_LEVEL: Final = ("apiVersion", "kind", "metadata", "spec", "status")


class SpecError(Exception):
    """The session cannot be run as it is asked for; one line for each thing that is wrong."""


def read_session(path: Path) -> StreamSession:
    """The one StreamSession of a file, with a fresh UID; or a session of its one StreamPool.

    Raises:
        SpecError: the file cannot be read or the session is not acceptable.
    """
    try:
        documents = [item for item in yaml.safe_load_all(path.read_text()) if item is not None]
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise SpecError(f"is no YAML: {error}") from error
    for kind, parse in ((SESSION_KIND, parse_session), (POOL_KIND, parse_pool)):
        found = [item for item in documents if isinstance(item, dict) and item.get("kind") == kind]
        if len(found) > 1:
            raise SpecError(f"holds {len(found)} documents of kind {kind}; needs exactly 1")
        if found:
            return parse(found[0])
    raise SpecError(f"holds no document of kind {SESSION_KIND} or {POOL_KIND}")


def parse_pool(body: dict[str, Any]) -> StreamSession:
    """A session as a connection to the pool of this manifest gets it, by the pool's name.

    Raises:
        SpecError: as `parse_session`.
    """
    spec_body = body.get("spec")
    if not isinstance(spec_body, dict):
        raise SpecError("spec: is needed, as a mapping")
    wrong = list(find_unknown(spec_body, msgspec.inspect.type_info(PoolSpec), path="spec"))
    try:
        pool = PoolSpec.from_body(spec_body)
    except msgspec.ValidationError as error:
        wrong.append(_describe(error))
        raise SpecError("\n".join(wrong)) from error
    if wrong:
        raise SpecError("\n".join(wrong))
    spec = {**spec_body["template"]["spec"], "listeners": pool.listeners}
    return parse_session({**body, "spec": spec})


def parse_session(body: dict[str, Any]) -> StreamSession:
    """A StreamSession from its manifest.

    Raises:
        SpecError: unknown fields, wrong types, values out of bounds, or rules broken.
    """
    if body.get("apiVersion") != API_VERSION:
        raise SpecError(f"apiVersion: must be {API_VERSION}, is {body.get('apiVersion')!r}")
    metadata = body.get("metadata")
    spec_body = body.get("spec")
    if not isinstance(metadata, dict) or not isinstance(spec_body, dict):
        raise SpecError("metadata and spec: both are needed, as mappings")
    wrong = [f"{key}: unknown field" for key in body if key not in _TOP_LEVEL]
    wrong += find_unknown(spec_body, msgspec.inspect.type_info(SessionSpec), path="spec")
    name = metadata.get("name")
    if not isinstance(name, str) or not _NAME.match(name) or len(name) > _MAX_NAME_CHARS:
        wrong.append(f"metadata.name: must be a DNS label of at most {_MAX_NAME_CHARS} characters")
    try:
        spec = SessionSpec.from_body(spec_body)
    except msgspec.ValidationError as error:
        wrong.append(_describe(error))
        raise SpecError("\n".join(wrong)) from error
    wrong += _broken_rules(spec)
    if wrong:
        raise SpecError("\n".join(wrong))
    return StreamSession(
        metadata=Metadata(
            name=str(name),
            namespace=str(metadata.get("namespace") or DEFAULT_NAMESPACE),
            uid=str(uuid.uuid4()),
        ),
        spec=spec,
    )


def find_unknown(value: Any, kind: msgspec.inspect.Type, *, path: str) -> Iterator[str]:
    """Each member of `value` that its type does not know, with a guess at what was meant."""
    if isinstance(kind, msgspec.inspect.UnionType):
        structs = [item for item in kind.types if isinstance(item, msgspec.inspect.StructType)]
        kind = structs[0] if structs else kind
    if isinstance(kind, msgspec.inspect.StructType) and isinstance(value, dict):
        known = {field.encode_name: field.type for field in kind.fields}
        for key, item in value.items():
            if key in known:
                yield from find_unknown(item, known[key], path=f"{path}.{key}")
                continue
            guess = difflib.get_close_matches(str(key), known, n=1)
            hint = f"; did you mean {guess[0]}?" if guess else f"; known: {', '.join(known)}"
            yield f"{path}.{key}: unknown field{hint}"
    elif isinstance(kind, msgspec.inspect.ListType) and isinstance(value, list):
        for index, item in enumerate(value):
            yield from find_unknown(item, kind.item_type, path=f"{path}[{index}]")


def _broken_rules(spec: SessionSpec) -> Iterator[str]:
    """The rules that the CRD writes in CEL."""
    if not spec.workloads:
        yield (
            "spec: names no workload: set spec.circle or spec.imageOps "
            '("circle: {}" takes every default)'
        )
    if spec.listeners and spec.access.mode is not AccessMode.PUBLIC:
        yield "spec.listeners: needs spec.access.mode Public, their clients send no token"
    circle = spec.circle
    if spec.onlookers and spec.stream is None:
        yield (
            f"spec.{spec.onlookers[0]}: looks at the frames of the session's stream, which has "
            "none; set spec.stream"
        )
    pictures = spec.image_ops
    if pictures is not None and pictures.batch is not None and pictures.stream is not None:
        yield "spec.imageOps: a batch ends the session, its stream does not; remove one of them"
    camera = None if spec.tracking is None else spec.tracking.camera
    if camera is not None and camera.site_ref is None and "tracking" not in spec.onlookers:
        yield "spec.tracking.camera: reports to its site; set siteRef, or source.type Stream"
    if circle is not None and 2 * circle.ball.radius >= min(circle.width, circle.height):
        yield "spec.circle.ball.radius: the ball does not fit into the picture"


def _describe(error: msgspec.ValidationError) -> str:
    match = _ERROR_PATH.match(str(error))
    if match is None:
        return f"spec: {error}"
    return f"spec{match['path']}: {match['what']}"
