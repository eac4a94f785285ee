"""`watch`: sessions as they change, one line a change."""

import argparse

from podstream_kubectl.console import Console
from podstream_kubectl.errors import ExitCode
from podstream_kubectl.figures import text_of
from podstream_kubectl.following import follow
from podstream_kubectl.kubectl import Api
from podstream_kubectl.sessions import Session, parse_duration, utc_now

_WIDTHS = (9, 24, 10, 24, 10, 8)
_HEADINGS = ("TIME", "SESSION", "PHASE", "POD", "RMSE", "FPS", "REASON")


def run(options: argparse.Namespace, *, api: Api, console: Console) -> ExitCode:
    """Print a line whenever a session changes, until those that are named have ended.

    Without names it goes on until it is interrupted.
    """
    as_json = options.output == "json"
    if not as_json:
        console.write(_line(_HEADINGS))
    last: dict[str, str] = {}
    worst = ExitCode.OK
    for session in follow(api, options.names, timeout_s=parse_duration(options.timeout)):
        if session.has_ended:
            worst = max(worst, session.outcome)
        if as_json:
            console.json(session.body, compact=True)
            continue
        cells = _cells(session)
        if last.get(session.name) != repr(cells):
            last[session.name] = repr(cells)
            console.write(_line((f"{utc_now():%H:%M:%S}", *cells)))
    return worst


def _cells(session: Session) -> tuple[str, ...]:
    fps = session.figure("fps")
    return (
        session.name,
        session.phase,
        session.pod or "-",
        text_of(session.figure("rmsePx")) or "-",
        text_of(fps if fps is not None else session.figure("framesPerSecond")) or "-",
        session.reason,
    )


def _line(cells: tuple[str, ...]) -> str:
    padded = [cell.ljust(width) for cell, width in zip(cells, _WIDTHS, strict=False)]
    return " ".join([*padded, *cells[len(_WIDTHS) :]]).rstrip() + "\n"
