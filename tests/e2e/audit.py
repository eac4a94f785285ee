"""The API server's audit log: who wrote what, and when."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

LOG: Final = os.environ.get("PODSTREAM_AUDIT_LOG")
_WRITES: Final = {"create", "update", "patch", "delete", "deletecollection"}


@dataclass(frozen=True, slots=True)
class Write:
    """A request of a service account of podstream that changed something, or tried to."""

    verb: str
    resource: str
    """With its subresource, such as `streamsessions/status`."""
    name: str
    code: int
    account: str
    pod: str
    """From whose token; empty where the token names none."""
    at: datetime


def writes() -> Iterator[Write]:
    """Writes of podstream's service accounts, oldest first."""
    assert LOG is not None
    for line in Path(LOG).read_text().splitlines():
        event = json.loads(line)
        # A request that ended before its sender was known has no user name.
        user = event["user"].get("username", "")
        if event["verb"] not in _WRITES or not user.startswith("system:serviceaccount:podstream:"):
            continue
        target = event.get("objectRef", {})
        sub = f"/{target['subresource']}" if target.get("subresource") else ""
        (pod,) = event["user"].get("extra", {}).get("authentication.kubernetes.io/pod-name", [""])
        yield Write(
            verb=event["verb"],
            resource=f"{target.get('resource', '')}{sub}",
            name=target.get("name") or "",
            code=event.get("responseStatus", {}).get("code", 0),
            account=user.rsplit(":", 1)[-1],
            pod=pod,
            at=datetime.fromisoformat(event["requestReceivedTimestamp"]),
        )
