"""`record list` and `record get`: a session's recordings, and a copy of them."""

import argparse
import hashlib
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import quote

from podstream_kubectl.access import read_from_router, router_url, token_of
from podstream_kubectl.console import Console
from podstream_kubectl.errors import ExitCode, NotFound, Refused, UsageError
from podstream_kubectl.kubectl import Api
from podstream_kubectl.sessions import Session
from podstream_kubectl.tables import table

_HEADINGS = ("RECORDING", "FRAMES", "SECONDS", "SIZE", "SHA256")


def show(options: argparse.Namespace, *, api: Api, console: Console) -> ExitCode:
    """`record list`."""
    session = Session.read(api, options.name)
    recordings = recordings_of(session)
    if options.output == "json":
        console.json(recordings)
        return ExitCode.OK
    state = (session.results.get("stream") or {}).get("recording") or {}
    if state.get("stopReason"):
        console.say(f"recording has stopped: {state['stopReason']}: {state.get('message', '')}")
    if not recordings:
        console.say(f"session {session.name} has no recordings")
        return ExitCode.OK
    rows = [
        (
            str(item["name"]),
            str(item.get("frames", "")),
            f"{item.get('seconds', 0):.1f}",
            f"{item.get('bytes', 0)}",
            str(item.get("sha256", ""))[:16],
        )
        for item in recordings
    ]
    console.write(table(_HEADINGS, rows))
    return ExitCode.OK


def get(options: argparse.Namespace, *, api: Api, console: Console) -> ExitCode:
    """`record get`: download and check them."""
    session = Session.read(api, options.name)
    recordings = recordings_of(session)
    wanted = options.recordings or [str(item["name"]) for item in recordings]
    if not wanted:
        raise NotFound(f"session {session.name} has no recordings")
    known = {str(item["name"]): item for item in recordings}
    base = router_url(api, session, given=options.url)
    token = token_of(api, session)
    folder = Path(options.directory)
    for name in wanted:
        url = f"{base}/s/{session.namespace}/{session.name}/results/stream-{quote(name, safe='')}"
        path = folder / _plain(name)
        _download(url, token=token, path=path, sha256=known.get(name, {}).get("sha256"))
        console.write(f"{path}\n")
    return ExitCode.OK


def recordings_of(session: Session) -> list[Mapping[str, Any]]:
    """Recordings that the status names."""
    stream = session.results.get("stream") or {}
    return [item for item in stream.get("recordings") or [] if item.get("name")]


def _plain(name: str) -> str:
    """A name that stays within the folder, whatever the cluster says."""
    if PurePath(name).name != name or name in ("", ".", ".."):
        raise Refused(f"{name!r} is no plain file name: it is not written")
    return name


def _download(url: str, *, token: str | None, path: Path, sha256: str | None) -> None:
    """Write a file; what is not whole or not as expected leaves what is there as it is.

    Raises:
        Refused: its checksum is another.
        UsageError: it cannot be written.
    """
    part = path.with_name(path.name + ".part")
    digest = hashlib.sha256()
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            for chunk in read_from_router(url, token=token):
                digest.update(chunk)
                file.write(chunk)
        if sha256 and sha256 != digest.hexdigest():
            raise Refused(
                f"{path.name} came damaged: SHA-256 {digest.hexdigest()}, not {sha256}; "
                "get it again"
            )
        part.replace(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error}") from error
    finally:
        part.unlink(missing_ok=True)
