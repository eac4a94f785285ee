"""`podstream-run SPEC`: a session without Kubernetes."""

import argparse
import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from podstream_core import names
from podstream_core.agentapi import AgentPhase, AgentState
from podstream_core.api import StreamSession
from podstream_core.logs import setup_logging
from podstream_core.ports import LISTENERS
from podstream_workloads.agent.errors import describe_group
from podstream_workloads.agent.registry import WORKLOAD_CLASSES
from podstream_workloads.local.client_process import DEFAULT_COMMAND
from podstream_workloads.local.mounts import lay_out, parse_mount
from podstream_workloads.local.runner import (
    DEFAULT_FRAMES_PORT,
    DEFAULT_GRPC_PORT,
    DEFAULT_SIGNALLING_PORT,
    DEFAULT_WEB_PORT,
    LocalRun,
    RunOptions,
    final_report,
    say,
)
from podstream_workloads.local.spec_file import SpecError, read_session

_EXIT_USAGE: Final = 2
_DEFAULT_PORT: Final = next(item.port for item in LISTENERS if item.name == "http")

logger = logging.getLogger(__name__)


def main(
    argv: Sequence[str] | None = None,
    *,
    registry: Mapping[str, str] = WORKLOAD_CLASSES,
    client_command: Sequence[str] = DEFAULT_COMMAND,
) -> int:
    """Run the session; 0 completed, 1 failed, 2 cannot start."""
    arguments = _parse(argv)
    level = "DEBUG" if arguments.verbose > 1 else "INFO" if arguments.verbose else "WARNING"
    setup_logging(level=level, fmt="text", component="run")
    with tempfile.TemporaryDirectory(prefix="podstream-volumes-") as volumes:
        try:
            session = read_session(arguments.spec)
            _check_peer(session, peer=arguments.peer)
            lay_out(session.spec, mounts=dict(arguments.mount), folder=Path(volumes))
        except SpecError as error:
            for line in str(error).splitlines():
                say(f"{arguments.spec}: {line}")
            return _EXIT_USAGE
        return _play(
            session,
            arguments,
            volumes=Path(volumes),
            level=level,
            registry=registry,
            client_command=client_command,
        )


def _play(
    session: StreamSession,
    arguments: argparse.Namespace,
    *,
    volumes: Path,
    level: str,
    registry: Mapping[str, str],
    client_command: Sequence[str],
) -> int:
    options = RunOptions(
        port=arguments.port,
        signalling_port=arguments.signalling_port,
        grpc_port=arguments.grpc_port,
        frames_port=arguments.frames_port,
        web_port=arguments.web_port,
        artefacts=arguments.artefacts,
        volumes=volumes,
        log_level=level,
        log_format="text",
        registry=registry,
        client_command=client_command,
    )
    if arguments.peer:
        os.environ[names.ENV_PEER_URL] = arguments.peer  # the workload's process inherits it
    state: AgentState | None = None
    with _stdout_for_results():
        try:
            state = asyncio.run(_run(session, options))
        except* OSError as group:
            say(f"cannot go on: {describe_group(group)}")
    if state is None:
        return _EXIT_USAGE
    say(f"phase       {state.phase.value}")
    sys.stdout.write(json.dumps(final_report(session, state), indent=2) + "\n")
    return 0 if state.phase is AgentPhase.COMPLETED else 1


def _check_peer(session: StreamSession, *, peer: str | None) -> None:
    """A camera reaches its site and an edge its cloud, which run here as well.

    Raises:
        SpecError: the spec refers to another session, and nobody says where it is; or the reverse.
    """
    tracking = session.spec.tracking
    dials = None if tracking is None else tracking.dials
    if dials is not None and not peer:
        raise SpecError(
            f"the session {dials.name} is in a cluster; run it here too and name its address, "
            "which it prints as web: --peer http://127.0.0.1:PORT"
        )
    if dials is None and peer:
        raise SpecError("--peer: the session reaches no other one")


@contextlib.contextmanager
def _stdout_for_results() -> Iterator[None]:
    """Send what workloads print to standard error meanwhile: they inherit this process's files."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


async def _run(session: StreamSession, options: RunOptions) -> AgentState:
    run = LocalRun(session, options)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, run.stop)
    return await run.run()


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="podstream-run",
        description="Run a StreamSession on this machine, without Kubernetes.",
        epilog="Ctrl-C ends the session in order. The last figures are printed as JSON.",
    )
    parser.add_argument("spec", type=Path, help="YAML file with one StreamSession or StreamPool")
    parser.add_argument(
        "--port", type=int, default=_DEFAULT_PORT, help="WHEP on 127.0.0.1 (%(default)s)"
    )
    parser.add_argument(
        "--signalling-port",
        type=int,
        default=DEFAULT_SIGNALLING_PORT,
        help="newline-JSON signalling on 127.0.0.1, if the spec names that listener (%(default)s)",
    )
    parser.add_argument(
        "--grpc-port",
        type=int,
        default=DEFAULT_GRPC_PORT,
        help="gRPC on 127.0.0.1, if the spec has image operations (%(default)s)",
    )
    parser.add_argument(
        "--frames-port",
        type=int,
        default=DEFAULT_FRAMES_PORT,
        help="raw frames on 127.0.0.1, if the spec names the listener frames (%(default)s)",
    )
    parser.add_argument(
        "--web-port",
        type=int,
        default=DEFAULT_WEB_PORT,
        help="paths of spec.tracking at / on 127.0.0.1, without a token (%(default)s)",
    )
    parser.add_argument(
        "--peer",
        metavar="URL",
        help="of the site of a tracking camera or of the cloud of an edge: what its run prints",
    )
    parser.add_argument(
        "--artefacts", type=Path, metavar="DIR", help="keep the session's files (recordings) here"
    )
    parser.add_argument(
        "--mount",
        type=parse_mount,
        metavar="NAME=DIR",
        action="append",
        default=[],
        help="folder that stands for a ConfigMap, claim or Secret of the spec; may be repeated",
    )
    parser.add_argument(
        "-v", "--verbose", action="count", default=0, help="log more; twice for debugging"
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
