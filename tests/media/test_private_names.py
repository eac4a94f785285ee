"""Fails when a name of aiortc or aioice goes that is used, and when one is used but not listed."""

import ast
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from podstream_workloads.media import private_names
from podstream_workloads.media.private_names import ON_PACKETS, PRIVATE, UNDOCUMENTED

SOURCES = Path(private_names.__file__).parents[1]
REACHING = {"aiortc_private.py", "jitter.py", "takeover.py"}
LISTED = {name for names in PRIVATE.values() for name in names} | {ON_PACKETS}
NAMES = [
    pytest.param(owner, name, id=f"{owner}.{name}")
    for table in (PRIVATE, UNDOCUMENTED)
    for owner, names in table.items()
    for name in names
]


def _find(path: str) -> Any:
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError:
        module, _, name = path.rpartition(".")
        return getattr(importlib.import_module(module), name)


@pytest.mark.parametrize(("owner", "name"), NAMES)
def test_every_name_exists(owner: str, name: str) -> None:
    found = _find(owner)
    if hasattr(found, name):
        return
    # An attribute of instances: set where the class is written.
    assert inspect.isclass(found), f"{owner} has no {name}"
    prefix = f"_{found.__name__}__"
    written = f"__{name.removeprefix(prefix)}" if name.startswith(prefix) else name
    assert f"self.{written}" in inspect.getsource(found)


def _own(tree: ast.AST) -> Iterator[str]:
    """Names that a module makes itself."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                for part in target.elts if isinstance(target, ast.Tuple) else [target]:
                    if isinstance(part, ast.Attribute):
                        yield part.attr


def _private(path: Path) -> set[str]:
    """Attributes with an underscore that a module uses and does not make."""
    tree = ast.parse(path.read_text())
    own = set(_own(tree))
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return {
        name
        for name in used
        if name.startswith("_") and not (name.startswith("__") and name.endswith("__"))
    } - own


def _imports_the_libraries(path: Path) -> bool:
    return any(
        line.lstrip().startswith(("import aiortc", "import aioice", "from aiortc", "from aioice"))
        for line in path.read_text().splitlines()
    )


def test_all_that_is_used_is_listed() -> None:
    used = {name for name in REACHING for name in _private(SOURCES / "media" / name)}
    assert used - LISTED == set()
    # A name that is assigned in a subclass of ours looks like our own.
    text = "".join((SOURCES / "media" / name).read_text() for name in REACHING)
    assert {name for name in LISTED if name not in text} == set()


def test_nothing_else_reaches_into_the_libraries() -> None:
    parents = {"_peer", "_spawn", "_lose", "_on_channel", "_watch_connect"}  # of ClientPeer
    found = {
        str(path.relative_to(SOURCES)): names
        for path in SOURCES.rglob("*.py")
        if path.name not in REACHING
        and _imports_the_libraries(path)
        and (names := _private(path) - parents)
    }
    assert found == {}
