"""The tables that compare with the originals, in docs, name tests that exist."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("page", ["circle.md", "stream.md"])
def test_named_tests_exist(page: str) -> None:
    text = (TESTS.parent / "docs" / page).read_text()
    table = text.partition("## Compared with the original")[2]
    path, found = "", 0
    for file, test in re.findall(r"`([\w/]+\.py)?(?:::(\w+))?`", table):
        path = file or path
        if file or test:
            source = (TESTS / path).read_text()
            assert not test or f"def {test}(" in source, f"{path}::{test}"
            found += bool(test)
    assert found >= 10
