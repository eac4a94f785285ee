"""`python -m podstream_workloads.tracking`: the orchestrator alone, with Tracktech's environment.

`--help` describes it.
"""

import argparse
import asyncio
import logging
import os
import signal
import ssl
import sys
from collections.abc import Mapping, Sequence
from enum import IntEnum
from pathlib import Path
from typing import Final

from aiohttp import web

from podstream_core.logs import setup_logging
from podstream_workloads.tracking.orchestrator import (
    AuthSettings,
    Orchestrator,
    OrchestratorSettings,
    StoreError,
    store_of,
)

logger = logging.getLogger(__name__)

_EXAMPLES: Final = """environment, as in Tracktech's container:
  SSL_CERT, SSL_KEY   paths of a PEM certificate and its key: HTTPS and WSS as well
  PUBLIC_KEY          path of an RSA public key in PEM; with AUDIENCE and
  CLIENT_ROLE         ... this: clients must authenticate
  PROCESSOR_ROLE      ... this: processors must authenticate
  AUDIENCE            the tokens' `aud`
  TRACKING_TIMEOUT    seconds from `start` after which an object is given up; unset: never

examples:
  python -m podstream_workloads.tracking
  python -m podstream_workloads.tracking --http-port 8080 --database tracking.sqlite3
  TRACKING_TIMEOUT=600 python -m podstream_workloads.tracking --http-port 8080
  PUBLIC_KEY=key.pem AUDIENCE=orchestrator CLIENT_ROLE=Viewer python -m podstream_workloads.tracking

exit codes: 0 stopped by SIGTERM or SIGINT; 1 a port or the database cannot be opened; 2 wrong
arguments or environment
"""


class Exit(IntEnum):
    """Exit codes."""

    STOPPED = 0
    FAILED = 1
    WRONG = 2


class WrongEnvironment(Exception):
    """A variable of the environment cannot be used."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal comes; the exit code is one of `Exit`."""
    options = _parser().parse_args(arguments)
    setup_logging(level="INFO", fmt=options.log_format, component="tracking")
    try:
        settings = settings_from(os.environ)
        tls = _tls(os.environ)
    except WrongEnvironment as error:
        print(error, file=sys.stderr)  # noqa: T201 - what a person at a terminal has to mend
        return Exit.WRONG
    try:
        asyncio.run(_serve(settings, tls=tls, options=options))
    except (OSError, StoreError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - the same
        return Exit.FAILED
    return Exit.STOPPED


def settings_from(environment: Mapping[str, str]) -> OrchestratorSettings:
    """Settings of the original's environment; an empty variable counts as unset.

    Raises:
        WrongEnvironment: the key cannot be read, or the timeout is no number.
    """
    timeout = environment.get("TRACKING_TIMEOUT") or "0"
    if not timeout.isdecimal():
        raise WrongEnvironment(f"TRACKING_TIMEOUT: {timeout!r} is no number of seconds")
    return OrchestratorSettings(compat=True, auth=_auth(environment), max_tracked_s=float(timeout))


def _auth(environment: Mapping[str, str]) -> AuthSettings | None:
    """Who must authenticate: nobody, unless the key, the audience and a role are all given."""
    path, audience = environment.get("PUBLIC_KEY"), environment.get("AUDIENCE")
    if not path or not audience:
        return None
    try:
        key = Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise WrongEnvironment(f"PUBLIC_KEY: {error}") from error
    return AuthSettings(
        public_key=key,
        audience=audience,
        client_role=environment.get("CLIENT_ROLE") or None,
        processor_role=environment.get("PROCESSOR_ROLE") or None,
    )


def _tls(environment: Mapping[str, str]) -> ssl.SSLContext | None:
    certificate, key = environment.get("SSL_CERT"), environment.get("SSL_KEY")
    if not certificate or not key:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:  # ssl.SSLError is one
        raise WrongEnvironment(f"SSL_CERT, SSL_KEY: {error}") from error
    return context


async def _serve(
    settings: OrchestratorSettings, *, tls: ssl.SSLContext | None, options: argparse.Namespace
) -> None:
    try:
        orchestrator = Orchestrator(settings, store=store_of(options.database))
    except ValueError as error:
        raise OSError(f"PUBLIC_KEY: {error}") from error
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await orchestrator.open()
    runner = web.AppRunner(orchestrator.app(), access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, options.host, options.http_port).start()
        if tls is not None:
            await web.TCPSite(runner, options.host, options.https_port, ssl_context=tls).start()
        logger.info("serving", extra={"addresses": str(runner.addresses)})
        await stopped.wait()
    finally:
        await orchestrator.close()
        await runner.cleanup()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m podstream_workloads.tracking",
        description="Tracking orchestrator with Tracktech's protocol, ports and environment.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", help="address to listen on; default: all")
    parser.add_argument("--http-port", type=int, default=80, help="default: 80")
    parser.add_argument("--https-port", type=int, default=443, help="default: 443")
    parser.add_argument(
        "--database",
        help="where objects and timelines are kept: an SQLite file, or a postgresql:// URL;"
        " default: in memory, gone at the end",
    )
    parser.add_argument("--log-format", choices=["json", "text"], default="text")
    return parser


if __name__ == "__main__":
    sys.exit(main())
