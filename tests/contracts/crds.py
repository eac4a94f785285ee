"""The CRDs as the contract tests read them."""

import copy
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).resolve().parents[2]
CRD_DIR: Final = ROOT / "crds"
SAMPLES: Final = sorted((CRD_DIR / "samples").glob("*.yaml"))
KINDS: Final = {"StreamSession": "streamsession", "StreamPool": "streampool"}
"""Kind -> name of its CRD's file."""

Schema = dict[str, Any]


@functools.cache
def _parsed(name: str) -> dict[str, Any]:
    crd: dict[str, Any] = yaml.safe_load((CRD_DIR / f"{name}.yaml").read_text())
    return crd


def load_crd(name: str = "streamsession") -> dict[str, Any]:
    """A CRD as written; a copy of its own for each caller."""
    return copy.deepcopy(_parsed(name))


def version_of(crd: dict[str, Any]) -> dict[str, Any]:
    """Its only version."""
    (version,) = crd["spec"]["versions"]
    assert isinstance(version, dict)
    return version


def schema_of(kind: str) -> Schema:
    """Schema of a whole object of this kind; a copy of its own for each caller."""
    schema: Schema = version_of(load_crd(KINDS[kind]))["schema"]["openAPIV3Schema"]
    return schema


def session_schema() -> Schema:
    """Schema of a whole StreamSession; a copy of its own for each caller."""
    return schema_of("StreamSession")


def walk(schema: Schema, *, path: str) -> Iterator[tuple[str, Schema]]:
    """A schema and everything below it, with paths such as `spec.listeners[]`."""
    yield path, schema
    for name, member in schema.get("properties", {}).items():
        yield from walk(member, path=f"{path}.{name}")
    if "items" in schema:
        yield from walk(schema["items"], path=f"{path}[]")
    if "additionalProperties" in schema:
        yield from walk(schema["additionalProperties"], path=f"{path}{{}}")


def closed(schema: Schema) -> Schema:
    """The schema with unknown members refused, as the API server does for kubectl."""
    if "properties" in schema:
        schema = schema | {
            "properties": {name: closed(item) for name, item in schema["properties"].items()},
            "additionalProperties": False,
        }
    if "items" in schema:
        schema = schema | {"items": closed(schema["items"])}
    return schema


def with_defaults(value: Any, *, schema: Schema) -> Any:
    """What the API server stores for a value: defaults filled in from the outside inwards."""
    if isinstance(value, dict) and "properties" in schema:
        filled = dict(value)
        for name, member in schema["properties"].items():
            if name not in filled and "default" in member:
                filled[name] = copy.deepcopy(member["default"])
            if name in filled:
                filled[name] = with_defaults(filled[name], schema=member)
        return filled
    if isinstance(value, list) and "items" in schema:
        return [with_defaults(item, schema=schema["items"]) for item in value]
    return value
