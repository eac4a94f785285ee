"""`view`: where the dashboard is, for one session or all; or a stream's video in the terminal."""

import argparse
import webbrowser

from podstream_core.names import SECRET_VIEW_TOKEN_KEY
from podstream_kubectl.access import read_from_router, router_url, token_of
from podstream_kubectl.console import Console
from podstream_kubectl.errors import ExitCode, Refused, UsageError
from podstream_kubectl.kubectl import Api
from podstream_kubectl.sessions import Session
from podstream_kubectl.terminal import play


def run(options: argparse.Namespace, *, api: Api, console: Console) -> ExitCode:
    """Print the dashboard's address, and the token only where it is asked for; or play."""
    if options.terminal:
        return _play(options, api=api, console=console)
    session = Session.read(api, options.name) if options.name else None
    base = router_url(api, session, given=options.url)
    place = f"#/sessions/{session.namespace}/{session.name}" if session else ""
    address = f"{base}/ui/{place}"
    token = token_of(api, session) if session is not None and options.token else None
    if options.output == "json":
        console.json({"url": address, **({"token": token} if options.token else {})})
    else:
        console.write(f"{address}\n")
        if token:
            console.write(f"{token}\n")
        elif session is not None and session.secret:
            console.say("the page asks for the session's token; --token prints it")
    if options.open and not webbrowser.open(address):
        console.say("no browser could be opened here")
    return ExitCode.OK


def _play(options: argparse.Namespace, *, api: Api, console: Console) -> ExitCode:
    """Show a stream's pictures (MJPEG, one of its viewers' places) in this terminal."""
    if not options.name:
        raise UsageError("--terminal plays one session: kubectl podstream view NAME --terminal")
    session = Session.read(api, options.name)
    if "stream" not in session.spec:
        raise Refused(
            f"{session.name} has no stream to look on at; its one client plays it: "
            "podstream-client --display, or Watch on the dashboard"
        )
    if session.has_ended:
        raise Refused(f"{session.name} has ended ({session.phase}): kubectl podstream record list")
    # The right to look on is enough, and all that a mistake could give away.
    token = token_of(api, session, key=SECRET_VIEW_TOKEN_KEY)
    base = router_url(api, session, given=options.url)
    address = f"{base}/s/{session.namespace}/{session.name}/mjpeg"
    title = f"{session.namespace}/{session.name}"
    count = play(read_from_router(address, token=token), title=title)
    console.say(f"{count} pictures")
    return ExitCode.OK
