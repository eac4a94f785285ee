"""`end`, `start`, `stop` and `record start|stop`: a patch of one live member each."""

import argparse
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from podstream_core.api.session import WORKLOADS
from podstream_kubectl.access import end_by_router
from podstream_kubectl.console import Console
from podstream_kubectl.errors import ExitCode, Refused
from podstream_kubectl.following import follow
from podstream_kubectl.kubectl import Api
from podstream_kubectl.schema import require_member
from podstream_kubectl.sessions import SESSIONS, Session, parse_duration, utc_now

_STATES: Final = {"start": "Running", "stop": "Stopped"}


def end(options: argparse.Namespace, *, api: Api, console: Console) -> ExitCode:
    """End sessions now: what they have measured is kept in their status.

    The router tells the session's pod, which finishes its files and goes on serving them for a
    while. Where the router cannot be reached from here, the deadline is set to the time that has
    passed: the operator then ends the session and its pod at once.
    """
    ending: list[str] = []
    for name in options.names:
        session = Session.read(api, name)
        if options.delete:
            api.delete(SESSIONS, name)
            console.write(f"session {name} deleted\n")
        elif session.has_ended:
            console.write(f"session {name} has ended already: {session.phase}\n")
        else:
            if problem := end_by_router(api, session, url=options.url):
                console.say(f"{name} is ended by its deadline, its files go: {problem}")
                api.patch(SESSIONS, name, patch=end_patch(session))
            ending.append(name)
            console.write(f"session {name} ends\n")
    if options.wait and ending:
        for session in follow(api, ending, timeout_s=parse_duration(options.timeout)):
            if session.has_ended:
                outcome = f"{session.phase} {session.reason}".rstrip()
                console.write(f"session {session.name} has ended: {outcome}\n")
    return ExitCode.OK


def end_patch(session: Session) -> dict[str, Any]:
    """Set the deadline to now. Clocks of this machine and the operator may differ: at least 1 s."""
    passed = math.floor((utc_now() - session.created).total_seconds())
    current = int(session.spec.get("activeDeadlineSeconds", 3600))
    return {"spec": {"activeDeadlineSeconds": max(1, min(passed, current))}}


def set_state(options: argparse.Namespace, *, api: Api, console: Console) -> ExitCode:
    """`start` and `stop`: whether a stream session takes frames."""
    require_member(api, ("stream", "state"))
    state = _STATES[options.command]
    for name in options.names:
        _require_stream(Session.read(api, name), what=options.command)
        api.patch(SESSIONS, name, patch={"spec": {"stream": {"state": state}}})
        console.write(f"session {name}: spec.stream.state is {state}\n")
    return ExitCode.OK


def set_recording(options: argparse.Namespace, *, api: Api, console: Console) -> ExitCode:
    """`record start` and `record stop`."""
    require_member(api, ("stream", "recording", "enabled"))
    enabled = options.action == "start"
    for name in options.names:
        _require_stream(Session.read(api, name), what=f"record {options.action}")
        patch: Mapping[str, Any] = {"spec": {"stream": {"recording": {"enabled": enabled}}}}
        api.patch(SESSIONS, name, patch=patch)
        console.write(f"session {name}: spec.stream.recording.enabled is {str(enabled).lower()}\n")
    return ExitCode.OK


def _require_stream(session: Session, *, what: str) -> None:
    if "stream" not in session.spec:
        others: Sequence[str] = [name for name in session.spec if name in WORKLOADS]
        raise Refused(
            f"session {session.name} has no stream workload ({', '.join(others) or 'none'}): "
            f"{what} is for sessions with spec.stream"
        )
    if session.has_ended:
        raise Refused(f"session {session.name} has ended: {session.phase}")
