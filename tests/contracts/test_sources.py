"""Folders that are source roots never become packages.

A package called `operator` hides the standard library's module of that name, and Python itself no
longer starts from the project's root.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from contracts.crds import ROOT

SOURCE_ROOTS = ("operator", "workloads")
SCRIPTS = {"images"}
"""Run by Dockerfiles while an image is built; imported by nobody, and in no wheel."""


@pytest.mark.parametrize("folder", SOURCE_ROOTS)
def test_source_root_is_no_package(folder: str) -> None:
    assert not (ROOT / folder / "__init__.py").exists()


@pytest.mark.parametrize("folder", SOURCE_ROOTS)
def test_source_root_holds_only_our_packages(folder: str) -> None:
    """A folder or module there would be an import name of its own and could shadow another."""
    entries = {
        path.name
        for path in (ROOT / folder).iterdir()
        if path.suffix == ".py" or (path.is_dir() and any(path.rglob("*.py")))
    }
    assert entries
    assert all(name.startswith("podstream_") for name in entries - SCRIPTS), entries
    assert not any((ROOT / folder / name / "__init__.py").exists() for name in SCRIPTS)


def test_tests_are_no_packages() -> None:
    packages = {path.parent.relative_to(ROOT) for path in (ROOT / "tests").rglob("__init__.py")}
    allowed = {Path("tests/cluster/testcluster")}
    strangers = {
        path
        for path in packages
        if not any(path == a or a in path.parents for a in allowed)
        and not any(part.startswith("podstream_") for part in path.parts)
    }
    assert strangers == set()


def test_standard_operator_module_is_found_from_the_root() -> None:
    """-S keeps an editable install's import hook from hiding the fault."""
    code = "import operator; operator.itemgetter; import collections; print(operator.__file__)"
    # The interpreter below the virtual environment: -S leaves the environment's packages out.
    result = subprocess.run(
        [sys.executable, "-S", "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert result.returncode == 0, result.stderr
    assert not result.stdout.startswith(str(ROOT / "operator"))
