"""`view`: where the dashboard is, for one session or for all."""

import argparse
import webbrowser

from podstream_kubectl.access import router_url, token_of
from podstream_kubectl.console import Console
from podstream_kubectl.errors import ExitCode
from podstream_kubectl.kubectl import Api
from podstream_kubectl.sessions import Session


def run(options: argparse.Namespace, *, api: Api, console: Console) -> ExitCode:
    """Print the dashboard's address, and the token only where it is asked for."""
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
