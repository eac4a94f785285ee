"""Reads the API server's audit log: who asked for what, and how often."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

WRITE_VERBS = frozenset({"create", "update", "patch", "delete", "deletecollection"})


@dataclass(frozen=True, slots=True)
class Request:
    """One finished request."""

    user: str
    verb: str
    resource: str
    subresource: str
    namespace: str
    name: str
    code: int

    @property
    def is_write(self) -> bool:
        """Say whether it asked for a change; a dry run or a refusal does so too."""
        return self.verb in WRITE_VERBS


def parse(line: str) -> Request:
    """Return the request that one line of the log records."""
    event = json.loads(line)
    target = event.get("objectRef", {})
    # Behind impersonation, the impersonated user is who acts.
    user = event.get("impersonatedUser", event["user"])
    return Request(
        user=user.get("username", ""),
        verb=event["verb"],
        resource=target.get("resource", ""),
        subresource=target.get("subresource", ""),
        namespace=target.get("namespace", ""),
        name=target.get("name", ""),
        code=event.get("responseStatus", {}).get("code", 0),
    )


def end_of(log: Path) -> int:
    """Return the log's size: the mark from which a later ``read`` starts."""
    return log.stat().st_size


def read(log: Path, *, since: int = 0) -> Iterator[Request]:
    """Give the requests behind a mark; a line that is still being written is left out."""
    with log.open("rb") as file:
        file.seek(since)
        for line in file:
            if line.endswith(b"\n"):
                yield parse(line.decode())


def writes_by_user(requests: Iterable[Request]) -> Counter[str]:
    """Count the writes of each user."""
    return Counter(request.user for request in requests if request.is_write)
