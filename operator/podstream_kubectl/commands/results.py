"""`results`: what sessions measured, as a table, JSON or CSV."""

import argparse
import csv
import io
from collections.abc import Sequence
from typing import Any

from podstream_kubectl.console import Console
from podstream_kubectl.errors import ExitCode
from podstream_kubectl.figures import figures_of, text_of
from podstream_kubectl.kubectl import Api
from podstream_kubectl.sessions import Session
from podstream_kubectl.tables import table

_HEADINGS = ("SESSION", "WORKLOAD", "FIGURE", "VALUE", "UNIT")


def run(options: argparse.Namespace, *, api: Api, console: Console) -> ExitCode:
    """Print the results of the named sessions."""
    sessions = [Session.read(api, name) for name in options.names]
    show(sessions, form=options.output, console=console)
    return ExitCode.OK


def show(sessions: Sequence[Session], *, form: str, console: Console) -> None:
    """Print results in one of the three forms; those that are not final are marked as live."""
    if form == "json":
        found = [summary_of(session) for session in sessions]
        console.json(found[0] if len(found) == 1 else found)
    elif form == "csv":
        console.write(_csv(sessions))
    else:
        console.write(_table(sessions, console=console))


def summary_of(session: Session) -> dict[str, Any]:
    """A session and its results as JSON."""
    return {
        "namespace": session.namespace,
        "name": session.name,
        "phase": session.phase,
        "reason": session.reason or None,
        "message": session.message or None,
        "results": dict(session.results) or None,
    }


def _table(sessions: Sequence[Session], *, console: Console) -> str:
    rows = []
    for session in sessions:
        figures = list(figures_of(session))
        if not figures:
            console.say(f"{session.name} is {session.phase} and has no results yet")
        elif not session.results.get("final"):
            console.say(f"{session.name} is {session.phase}: its results are not final")
        rows += [
            (item.session, item.workload, item.figure, text_of(item.value), item.unit)
            for item in figures
        ]
    return table(_HEADINGS, rows) if rows else ""


def _csv(sessions: Sequence[Session]) -> str:
    """One line a figure, full precision."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["namespace", "session", "phase", "final", "workload", "figure", "value", "unit"]
    )
    for session in sessions:
        final = str(bool(session.results.get("final"))).lower()
        for item in figures_of(session):
            value = str(item.value).lower() if isinstance(item.value, bool) else item.value
            about = (item.namespace, item.session, session.phase, final)
            writer.writerow([*about, item.workload, item.figure, value, item.unit])
    return text.getvalue()
