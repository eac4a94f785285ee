"""Follows sessions until they have ended: a watch, and a look at the truth when it breaks off."""

import time
from collections.abc import Iterator, Sequence
from typing import Final

from podstream_kubectl.console import Clock
from podstream_kubectl.errors import NotFound, TimeOver, Unreachable
from podstream_kubectl.kubectl import Api, Body
from podstream_kubectl.sessions import SESSIONS, Session

QUIET_S: Final = 30.0
"""Without an event for this long the sessions are read anew: a watch may have died silently."""
RETRY_S: Final = 1.0
PATIENCE_S: Final = 60.0
"""How long an API server that does not answer is waited for."""


def follow(
    api: Api, names: Sequence[str], *, timeout_s: float = 0.0, clock: Clock = time.monotonic
) -> Iterator[Session]:
    """Each session at first and whenever it changes, until all of `names` have ended.

    Args:
        api: the cluster.
        names: sessions of the namespace; none: every session there, without an end.
        timeout_s: seconds after which it ends with `TimeOver`; 0: never.
        clock: monotonic seconds.

    Raises:
        NotFound: one of the sessions is gone.
        TimeOver: the time has passed.
        PluginError: the cluster cannot be read.
    """
    deadline = clock() + timeout_s if timeout_s else float("inf")
    open_names, seen = set(names), dict[str, str]()
    silent_since = clock()
    while True:
        try:
            current = _read(api, names)
        except Unreachable:
            if clock() - silent_since > PATIENCE_S or clock() > deadline:
                raise
            time.sleep(RETRY_S)
            continue
        silent_since = clock()
        for session in _changed(current, seen):
            yield session
            open_names -= {session.name} if session.has_ended else set()
        if names and not open_names:
            return
        for session in _watched(api, names, until=min(clock() + QUIET_S, deadline), clock=clock):
            for changed in _changed([session], seen):
                yield changed
                open_names -= {changed.name} if changed.has_ended else set()
            if names and not open_names:
                return
        if clock() >= deadline:
            waiting = ", ".join(sorted(open_names)) or "the sessions"
            raise TimeOver(f"{waiting} did not end within {timeout_s:g} s; what runs goes on")


def _read(api: Api, names: Sequence[str]) -> list[Session]:
    if len(names) == 1:
        return [Session.read(api, names[0])]
    found = [Session(item) for item in api.get(SESSIONS)["items"]]
    if not names:
        return found
    missing = set(names) - {session.name for session in found}
    if missing:
        raise NotFound(f"session {', '.join(sorted(missing))} is gone")
    return [session for session in found if session.name in names]


def _watched(api: Api, names: Sequence[str], *, until: float, clock: Clock) -> Iterator[Session]:
    """Changes until a time, or until the watch breaks off."""
    chosen = [f"--field-selector=metadata.name={names[0]}"] if len(names) == 1 else []
    # Not --watch-only: what happened since the last look comes first.
    with api.watch(SESSIONS, *chosen) as events:
        while (left := until - clock()) > 0:
            try:
                bodies: list[Body] = events.wait(timeout_s=left)
            except EOFError:
                time.sleep(min(RETRY_S, max(0.0, left)))
                return
            for body in bodies:
                session = Session(body)
                if not names or session.name in names:
                    yield session


def _changed(sessions: Sequence[Session], seen: dict[str, str]) -> Iterator[Session]:
    for session in sessions:
        version = str(session.body["metadata"].get("resourceVersion", ""))
        if seen.get(session.name) != version:
            seen[session.name] = version
            yield session
