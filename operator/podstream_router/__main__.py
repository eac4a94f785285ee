"""Entry point: `podstream-router`, or `python -m podstream_router`."""

import asyncio
import logging
import signal
import sys

import uvloop

from podstream_core.logs import setup_logging
from podstream_router.app import Router
from podstream_router.keys import Keys
from podstream_router.kube import KubeReader
from podstream_router.settings import Settings, SettingsError
from podstream_router.tls import Certificate

logger = logging.getLogger(__name__)


async def serve(settings: Settings, keys: Keys, certificate: Certificate | None) -> None:
    """Run until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    api = await KubeReader.from_environment()
    try:
        await Router(settings, api=api, keys=keys, certificate=certificate).run(stop)
    finally:
        await api.close()


def main() -> int:
    """Start the router; 2 where a setting cannot be used."""
    try:
        settings = Settings.from_env()
        setup_logging(
            level=settings.log_level, fmt=settings.log_format, component="podstream-router"
        )
        keys = Keys.load(settings.keys_dir)
        certificate = None
        if settings.tls_dir is not None:
            certificate = Certificate(settings.tls_dir, required=settings.tls_required)
    except (SettingsError, ValueError) as error:
        sys.stderr.write(f"podstream-router: {error}\n")
        return 2
    uvloop.run(serve(settings, keys, certificate))
    return 0


if __name__ == "__main__":
    sys.exit(main())
