"""Compares a CRD's schema with the typed API and says in words what differs.

What must be equal: member names, types, required members, defaults of the spec, enumerations, and
bounds of numbers. The schema may be stricter where only admission profits (sizes of strings, lists
and maps; bounds of figures in status). Members typed as `Any` are handed to Kubernetes unread.
"""

from collections.abc import Iterator
from typing import Any, Final

from msgspec import NODEFAULT, inspect

Schema = dict[str, Any]

_NUMBER_BOUNDS: Final = (("minimum", "ge"), ("maximum", "le"), ("multipleOf", "multiple_of"))
_STRING_BOUNDS: Final = (
    ("minLength", "min_length"),
    ("maxLength", "max_length"),
    ("pattern", "pattern"),
)


def unwrap(kind: inspect.Type) -> inspect.Type:
    """A type without annotations for people and without `None`, which means absent."""
    if isinstance(kind, inspect.Metadata):
        return unwrap(kind.type)
    if isinstance(kind, inspect.UnionType):
        rest = [item for item in kind.types if not isinstance(item, inspect.NoneType)]
        if len(rest) == 1:
            return unwrap(rest[0])
    return kind


def differences(schema: Schema, *, kind: inspect.Type, path: str) -> Iterator[str]:
    """What differs between a schema and a type, one sentence each."""
    kind = unwrap(kind)
    match kind:
        case inspect.StructType():
            yield from _struct(schema, kind=kind, path=path)
        case inspect.ListType():
            yield from _type(schema, wanted="array", path=path)
            yield from differences(schema.get("items", {}), kind=kind.item_type, path=f"{path}[]")
        case inspect.DictType():
            yield from _dict(schema, kind=kind, path=path)
        case inspect.EnumType():
            values = [member.value for member in kind.cls]
            yield from _enum(schema, values=values, path=path)
        case inspect.LiteralType():
            yield from _enum(schema, values=list(kind.values), path=path)
        case inspect.BoolType():
            yield from _type(schema, wanted="boolean", path=path)
        case inspect.IntType():
            yield from _type(schema, wanted="integer", path=path)
            yield from _numbers(schema, kind=kind, path=path)
        case inspect.FloatType():
            yield from _type(schema, wanted="number", path=path)
            yield from _numbers(schema, kind=kind, path=path)
        case inspect.DateTimeType():
            yield from _type(schema, wanted="string", path=path)
            if schema.get("format") != "date-time":
                yield f"{path}: format is not date-time"
        case inspect.StrType():
            yield from _string(schema, kind=kind, path=path)
        case _:
            yield f"{path}: no rule for {kind}"


def _type(schema: Schema, *, wanted: str, path: str) -> Iterator[str]:
    if schema.get("type") != wanted:
        yield f"{path}: type is {schema.get('type')}, not {wanted}"


def _enum(schema: Schema, *, values: list[Any], path: str) -> Iterator[str]:
    yield from _type(schema, wanted="string", path=path)
    if sorted(schema.get("enum", [])) != sorted(values):
        yield f"{path}: enum is {schema.get('enum')}, not {values}"


def _numbers(
    schema: Schema, *, kind: inspect.IntType | inspect.FloatType, path: str
) -> Iterator[str]:
    for keyword, attribute in _NUMBER_BOUNDS:
        typed = getattr(kind, attribute)
        stricter_status = typed is None and path.startswith("status")
        if schema.get(keyword) != typed and not stricter_status:
            yield f"{path}: {keyword} is {schema.get(keyword)}, not {typed}"


def _string(schema: Schema, *, kind: inspect.StrType, path: str) -> Iterator[str]:
    yield from _type(schema, wanted="string", path=path)
    if "enum" in schema and not path.startswith("status"):
        yield f"{path}: enum {schema['enum']} is a plain string in the type"
    for keyword, attribute in _STRING_BOUNDS:
        typed = getattr(kind, attribute)
        if typed is not None and schema.get(keyword) != typed:
            yield f"{path}: {keyword} is {schema.get(keyword)}, not {typed}"


def _dict(schema: Schema, *, kind: inspect.DictType, path: str) -> Iterator[str]:
    yield from _type(schema, wanted="object", path=path)
    value = unwrap(kind.value_type)
    if isinstance(value, inspect.AnyType):
        return
    if isinstance(value, inspect.UnionType):
        if not schema.get("additionalProperties", {}).get("x-kubernetes-int-or-string"):
            yield f"{path}: values are not int-or-string"
    elif "properties" in schema:
        # A small object of strings, such as a reference by name.
        for name, member in schema["properties"].items():
            yield from differences(member, kind=value, path=f"{path}.{name}")
    else:
        inner = schema.get("additionalProperties", {})
        yield from differences(inner, kind=value, path=f"{path}{{}}")


def _struct(schema: Schema, *, kind: inspect.StructType, path: str) -> Iterator[str]:
    yield from _type(schema, wanted="object", path=path)
    members = schema.get("properties", {})
    fields = {field.encode_name: field for field in kind.fields}
    for name in sorted(members.keys() - fields.keys()):
        yield f"{path}.{name}: is not in the type {kind.cls.__name__}"
    for name in sorted(fields.keys() - members.keys()):
        yield f"{path}.{name}: is not in the CRD"
    required = sorted(name for name, field in fields.items() if field.required)
    if sorted(schema.get("required", [])) != required:
        yield f"{path}: required is {schema.get('required', [])}, not {required}"
    for name in sorted(members.keys() & fields.keys()):
        where = f"{path}.{name}"
        yield from _default(members[name], field=fields[name], path=where)
        yield from differences(members[name], kind=fields[name].type, path=where)


def _default(schema: Schema, *, field: inspect.Field, path: str) -> Iterator[str]:
    wanted = field.default
    if path.startswith("status") or wanted is NODEFAULT or field.default_factory is not NODEFAULT:
        # Status is written whole; an absent list or map means an empty one.
        wanted = None
    if isinstance(unwrap(field.type), inspect.StructType) and wanted is not None:
        # The value made of defaults only: the members' own defaults are compared below.
        wanted = {}
    given = schema.get("default")
    if given != wanted or isinstance(given, bool) != isinstance(wanted, bool):
        yield f"{path}: default is {given!r}, not {wanted!r}"
