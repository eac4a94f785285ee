"""API writes of one session's whole life, counted from the API server's audit log by user."""

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from e2e import kube
from e2e.sessions import circle, session

AUDIT_LOG = os.environ.get("PODSTREAM_AUDIT_LOG")
WRITES = {"create", "update", "patch", "delete", "deletecollection"}


def writes_by_podstream(name: str) -> Counter[str]:
    """Writes of podstream's service accounts to objects that carry the session's name."""
    counted: Counter[str] = Counter()
    assert AUDIT_LOG is not None
    for line in Path(AUDIT_LOG).read_text().splitlines():
        event = json.loads(line)
        user = event["user"]["username"]
        if event["verb"] not in WRITES or not user.startswith("system:serviceaccount:podstream:"):
            continue
        target = event.get("objectRef", {})
        if target.get("resource") == "events" or not (target.get("name") or "").startswith(name):
            continue
        code = event.get("responseStatus", {}).get("code", 0)
        sub = f"/{target['subresource']}" if target.get("subresource") else ""
        counted[f"{event['verb']} {target['resource']}{sub} {code}"] += 1
    return counted


@pytest.mark.skipif(AUDIT_LOG is None, reason="this cluster's audit log is not readable from here")
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
