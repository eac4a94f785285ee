"""The table of docs/stream.md names tests that exist."""

import re
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
DOCS = TESTS.parent / "docs" / "stream.md"


def test_named_tests_exist() -> None:
    table = DOCS.read_text().partition("## Compared with the original")[2]
    path, found = "", 0
    for file, test in re.findall(r"`([\w/]+\.py)?(?:::(\w+))?`", table):
        path = file or path
        if file or test:
            text = (TESTS / path).read_text()
            assert not test or f"def {test}(" in text, f"{path}::{test}"
            found += bool(test)
    assert found >= 10
