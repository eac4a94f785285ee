"""Writes `docs/api.md` from the CRDs: every field with type, default, bounds and description.

`python tests/tools/api_docs.py` writes, `--check` only compares and exits 1 on a difference.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).resolve().parents[2]
CRDS: Final = ROOT / "crds"
TARGET: Final = ROOT / "docs" / "api.md"

Schema = dict[str, Any]

_HEADER: Final = """# API reference

Made from `crds/` by `python tests/tools/api_docs.py`: edit the CRDs, not this page. The text is
shown by `kubectl explain`. Samples lie in `crds/samples/`.
"""

_BOUNDS: Final = (
    ("minimum", "≥ {}"),
    ("maximum", "≤ {}"),
    ("multipleOf", "multiple of {}"),
    ("minLength", "at least {} characters"),
    ("maxLength", "at most {} characters"),
    ("minItems", "at least {} items"),
    ("maxItems", "at most {} items"),
    ("maxProperties", "at most {} members"),
    ("pattern", "`{}`"),
)


def type_name(schema: Schema) -> str:
    """Type of a field as a reader writes it."""
    if schema.get("x-kubernetes-int-or-string"):
        return "quantity"
    kind = str(schema["type"])
    if kind == "array":
        return f"[]{type_name(schema['items'])}"
    if kind == "object" and "additionalProperties" in schema:
        return f"map of {type_name(schema['additionalProperties'])}"
    return "date-time" if schema.get("format") == "date-time" else kind


def bounds(schema: Schema) -> str:
    """Enumeration or bounds of a field, and of its items where it is a list or a map."""
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    parts = [text.format(schema[key]) for key, text in _BOUNDS if key in schema]
    inner = schema.get("items") or schema.get("additionalProperties")
    if inner and inner.get("type") != "object" and (nested := bounds(inner)):
        parts.append(f"each {nested}")
    return ", ".join(parts).replace("|", "\\|")


def default(schema: Schema) -> str:
    """Default of a field; empty where it has none or only makes room for nested ones."""
    value = schema.get("default")
    if value is None or value == {}:
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def objects(schema: Schema, *, path: str) -> Iterator[tuple[str, Schema]]:
    """Every object with named members below a field, with its path, in the order of the CRD."""
    inner = schema.get("items", schema)
    suffix = "[]" if "items" in schema else ""
    if "properties" not in inner:
        return
    yield path + suffix, inner | {"description": schema.get("description", "")}
    for name, member in inner["properties"].items():
        yield from objects(member, path=f"{path}{suffix}.{name}")


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().replace("|", "\\|")


def _table(schema: Schema) -> Iterator[str]:
    yield "| field | type | default | values | |"
    yield "|---|---|---|---|---|"
    required = schema.get("required", [])
    for name, member in schema["properties"].items():
        label = f"`{name}`" + (" (required)" if name in required else "")
        cells = (label, type_name(member), default(member), bounds(member))
        yield f"| {' | '.join(cells)} | {_cell(member.get('description', ''))} |"


def _rules(schema: Schema) -> Iterator[str]:
    rules = [_cell(rule["message"]) for rule in schema.get("x-kubernetes-validations", [])]
    if rules:
        yield ""
        yield "Refused with these messages:"
        yield ""
        yield from (f"* {rule}" for rule in rules)


def render_kind(crd: dict[str, Any]) -> Iterator[str]:
    """Lines about one kind."""
    names = crd["spec"]["names"]
    for version in crd["spec"]["versions"]:
        schema = version["schema"]["openAPIV3Schema"]
        yield f"## {names['kind']}"
        yield ""
        yield (
            f"`{crd['spec']['group']}/{version['name']}`, plural `{names['plural']}`, "
            f"short name `{'`, `'.join(names['shortNames'])}`."
        )
        yield ""
        yield _cell(schema["description"])
        yield from _rules(schema)
        for part in ("spec", "status"):
            for path, item in objects(schema["properties"][part], path=part):
                yield from ("", f"### {path}", "", _cell(item["description"]), "")
                yield from _table(item)
                yield from _rules(item)


def render() -> str:
    """The whole page."""
    lines = [_HEADER]
    for path in sorted(CRDS.glob("*.yaml")):
        lines.extend(render_kind(yaml.safe_load(path.read_text())))
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write the page, or compare with `--check`; exits 1 where it is out of date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    options = parser.parse_args()
    page = render()
    if options.check:
        if TARGET.is_file() and TARGET.read_text() == page:
            return 0
        print("docs/api.md is out of date: run python tests/tools/api_docs.py")
        return 1
    TARGET.write_text(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
