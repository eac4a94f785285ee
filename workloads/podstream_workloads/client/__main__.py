"""`podstream-client`: play a session from the command line."""

import asyncio
import json
import logging
import signal
import sys
import time
from collections.abc import Sequence
from typing import Any, Final

from podstream_core.logs import setup_logging
from podstream_workloads.client.errors import ClientError, UsageError
from podstream_workloads.client.play import Player
from podstream_workloads.client.settings import ClientSettings, read_settings

_EXIT_FAILED: Final = 1
_EXIT_USAGE: Final = 2

logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Play the session; 0 ended in order, 1 refused or failed, 2 cannot start."""
    try:
        settings = read_settings(argv)
        setup_logging(level=settings.log_level, fmt=settings.log_format, component="client")
    except (UsageError, ValueError) as error:
        sys.stderr.write(f"podstream-client: {error}\n")
        return _EXIT_USAGE
    # Each failed check of a candidate pair is an INFO line of its own.
    logging.getLogger("aioice").setLevel(max(logging.WARNING, logging.getLogger().level))
    return asyncio.run(_run(settings))


async def _run(settings: ClientSettings) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    started = time.monotonic()
    figures: dict[str, Any] = {}
    player: Player | None = None
    code = 0
    try:
        player = Player(settings, stop=stop)
        figures["reason"] = (await player.run()).value
    except ClientError as error:
        figures["error"] = str(error)
        code = _EXIT_FAILED
    if player is not None:
        figures |= player.tally.summary(seconds=time.monotonic() - started)
    if settings.summary:
        sys.stdout.write(json.dumps(figures) + "\n")
        sys.stdout.flush()
    else:
        logger.info("summary", extra=figures)
    if code != 0:
        # Last, for the pod's termination message is the end of its log.
        logger.error("%s", figures["error"])
    return code


if __name__ == "__main__":
    sys.exit(main())
