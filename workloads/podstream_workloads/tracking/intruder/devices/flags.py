"""Flags that cameras and alarms share."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def add_common(parser: argparse.ArgumentParser, *, environment: Mapping[str, str]) -> None:
    """Add where the edge is, how to be let in, and where logs go."""
    parser.add_argument(
        "--edge",
        metavar="URL",
        default=environment.get("EDGE_URL", "http://127.0.0.1:5001"),
        help="address of the edge (EDGE_URL; http://127.0.0.1:5001)",
    )
    parser.add_argument(
        "--token-file", type=Path, metavar="FILE", help="sent as Authorization: Bearer"
    )
    parser.add_argument(
        "--tries",
        type=int,
        default=0,
        metavar="N",
        help="give up after N failed connections in a row; 0 never does (0)",
    )
    parser.add_argument(
        "--log-dir",
        type=Path,
        metavar="FOLDER",
        default=Path(environment["LOG_DIR"]) if environment.get("LOG_DIR") else None,
        help="also log to log_<YYYY-MM-DD>.txt there, a new file each midnight (LOG_DIR)",
    )
    parser.add_argument("--verbose", action="store_true", help="log debugging details")


def read_token(given: Any, parser: argparse.ArgumentParser) -> str:
    """The token of `--token-file`; a file that cannot be read ends the process with code 2."""
    if given.token_file is None:
        return ""
    try:
        return str(given.token_file.read_text().strip())
    except OSError as error:
        parser.error(f"--token-file: {error}")
