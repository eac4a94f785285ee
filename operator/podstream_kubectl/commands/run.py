"""`run`: create sessions from a file, wait for their ends, print what they measured."""

import argparse
import time
from collections.abc import Sequence

from podstream_kubectl.commands.results import show
from podstream_kubectl.console import Clock, Console
from podstream_kubectl.errors import ExitCode, NotFound, Refused
from podstream_kubectl.following import follow
from podstream_kubectl.kubectl import Api
from podstream_kubectl.manifests import read_manifests
from podstream_kubectl.sessions import SESSIONS, Session, parse_duration


def run(options: argparse.Namespace, *, api: Api, console: Console) -> ExitCode:
    """Create, wait, print; the worst outcome of all sessions."""
    manifests = read_manifests(options.file, name=options.name)
    timeout_s = parse_duration(options.timeout)
    progress = Progress(console)
    names: list[str] = []
    try:
        for manifest in manifests:
            created = Session(_create(api, manifest))
            names.append(created.name)
            progress.line(f"session {created.namespace}/{created.name} created")
        ended = {
            session.name: session
            for session in follow(api, names, timeout_s=timeout_s)
            if not progress.show(session)
        }
        sessions = [ended[name] for name in names]
        show(sessions, form=options.output, console=console)
    finally:
        # Also after Ctrl-C and --timeout: nothing is left behind that --delete promised to remove.
        if options.delete:
            _delete(api, names, console=console)
    return max((session.outcome for session in sessions), default=ExitCode.OK)


def _create(api: Api, manifest: dict[str, object]) -> dict[str, object]:
    try:
        return api.create(manifest)
    except Refused as error:
        if "(AlreadyExists)" not in str(error):
            raise
        raise Refused(f"{error}: delete it first, or give another name with --name") from error


def _delete(api: Api, names: Sequence[str], *, console: Console) -> None:
    for name in names:
        try:
            api.delete(SESSIONS, name)
        except NotFound:
            continue
        console.say(f"session {name} deleted")


class Progress:
    """Says each step of each session once, with the seconds since the start."""

    def __init__(self, console: Console, *, clock: Clock = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._start = clock()
        self._said: dict[str, str] = {}

    def line(self, text: str) -> None:
        """One line with the time."""
        self._console.say(f"{self._clock() - self._start:7.1f} s  {text}")

    def show(self, session: Session) -> bool:
        """Say where a session stands, if that is new; whether it goes on."""
        step = step_of(session)
        if self._said.get(session.name) != step:
            self._said[session.name] = step
            self.line(f"{session.name}: {step}")
        return not session.has_ended


def step_of(session: Session) -> str:
    """Phase and what goes with it."""
    match session.phase:
        case "Failed" | "Completed":
            reason = "" if session.reason == session.phase else session.reason
            details = ": ".join(item for item in (reason, session.message) if item)
        case "Ready":
            details = _how_to_connect(session)
        case "Starting" | "Connected":
            details = " ".join(
                item
                for item in ("pod", session.pod, session.origin.lower())
                if session.pod and item
            )
        case _:
            details = _trouble(session)
    return f"{session.phase}, {details}" if details else session.phase


def _how_to_connect(session: Session) -> str:
    if (session.spec.get("client") or {}).get("builtIn"):
        return "the built-in client connects"
    urls = [item.get("url") for item in session.body["status"].get("endpoints") or []]
    where = f"waits for its client at {', '.join(str(url) for url in urls if url)}"
    token = f", token in Secret {session.secret}" if session.secret else ""
    return where + token if urls else "waits for its client"


def _trouble(session: Session) -> str:
    """What the summary condition complains about while the session has not started."""
    for condition in session.conditions:
        if condition.get("type") == "Ready" and condition.get("status") != "True":
            return str(condition.get("message") or condition.get("reason") or "")
    return ""
