"""API writes of one session's whole life, counted from the API server's audit log by user."""

from collections import Counter

import pytest

from e2e import audit, kube
from e2e.sessions import circle, session


def writes_by_podstream(name: str) -> Counter[str]:
    """Writes of podstream's service accounts to objects that carry the session's name."""
    return Counter(
        f"{write.verb} {write.resource} {write.code}"
        for write in audit.writes()
        if write.resource != "events" and write.name.startswith(name)
    )


@pytest.mark.skipif(audit.LOG is None, reason="this cluster's audit log is not readable from here")
@pytest.mark.parametrize(
    ("built_in", "budget"),
    [
        pytest.param(False, 6, id="own client"),
        pytest.param(True, 7, id="built-in client adds its pod"),
    ],
)
def test_a_whole_session_costs_few_api_writes(built_in: bool, budget: int) -> None:
    spec = {
        "circle": circle(frames=60),
        "client": {"builtIn": built_in},
        "ttlSecondsAfterFinished": 4,
        "lingerSeconds": 0,
    }
    with session(spec, prefix="budget") as made:
        if not built_in:
            made.wait_phase("Ready")
            assert made.play().returncode == 0
        kube.until(lambda: kube.get("strs", made.name) is None, what="TTL deletion", timeout_s=90)
        counted = writes_by_podstream(made.name)
    print(f"\nAPI writes ({'built-in' if built_in else 'own'} client): {dict(counted)}")
    assert 0 < counted.total() <= budget, counted
