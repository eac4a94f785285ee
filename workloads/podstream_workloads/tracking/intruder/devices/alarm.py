"""`podstream-alarm`: waits for an edge's alarms and says so."""

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from podstream_workloads.tracking.intruder.devices.flags import add_common, read_token
from podstream_workloads.tracking.intruder.devices.link import EdgeLink, EdgeUnreachable
from podstream_workloads.tracking.intruder.devices.logs import set_up

logger = logging.getLogger(__name__)

ALARM: Final = "Intruder detected, alarm turned on... "
"""What is printed, as the existing system's alarm prints it, the last space included."""
_EXAMPLES: Final = """\
examples:
  podstream-alarm --edge http://127.0.0.1:5001
  podstream-alarm --edge http://router:8085 --token-file token --once
  EDGE_URL=http://edge:5001 podstream-alarm --log-dir logs

exit codes: 0 an alarm with --once, or Ctrl-C, 2 wrong flags, 3 no edge within --tries
"""


def parse(arguments: Sequence[str], *, environment: Mapping[str, str]) -> argparse.Namespace:
    """The options, `token` among them; wrong ones end the process with code 2."""
    parser = argparse.ArgumentParser(
        prog="podstream-alarm",
        description="Print a line for every alarm of an edge.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--once", action="store_true", help="end after the first alarm")
    add_common(parser, environment=environment)
    given = parser.parse_args(arguments)
    given.token = read_token(given, parser)
    return given


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the alarm; the exit code is one of those in `--help`."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parse(given, environment=os.environ)
    set_up(folder=options.log_dir, verbose=options.verbose)
    try:
        asyncio.run(run(options))
    except EdgeUnreachable as error:
        logger.error("No edge: %s", error)
        return 3
    except KeyboardInterrupt:
        pass
    return 0


async def run(options: argparse.Namespace) -> None:
    """Print alarms until the first one (`once`) or for ever.

    Raises:
        EdgeUnreachable: no tries are left.
    """
    link = EdgeLink(options.edge, token=options.token, tries=options.tries)
    rung = asyncio.Event()

    async def ring(*_: Any) -> None:
        print(ALARM, flush=True)  # noqa: T201 - what this command is for
        logger.warning(ALARM)
        rung.set()

    link.client.on("alarm_event", ring)
    try:
        while not (options.once and rung.is_set()):
            await link.connect()
            waits: set[asyncio.Task[Any]] = {asyncio.create_task(link.lost())}
            if options.once:
                waits.add(asyncio.create_task(rung.wait()))
            _, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for task in pending:
                task.cancel()
    finally:
        await link.close()


if __name__ == "__main__":
    sys.exit(main())
