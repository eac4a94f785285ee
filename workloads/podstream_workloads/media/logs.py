"""How much the media libraries may say."""

import logging


def quiet_libraries() -> None:
    """Keep ICE's check of every candidate pair out of the log, unless all is asked for."""
    if logging.getLogger().level > logging.DEBUG:
        for name in ("aioice", "aiortc"):
            logging.getLogger(name).setLevel(logging.WARNING)
