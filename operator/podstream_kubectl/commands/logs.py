"""`logs`: what a session's pods have written, ended ones included, and all of it into a folder."""

import argparse
import json
from pathlib import Path
from typing import Any, Final

from podstream_kubectl.console import Console
from podstream_kubectl.errors import ExitCode, NotFound, PluginError, Refused, UsageError
from podstream_kubectl.kubectl import Api, Body
from podstream_kubectl.sessions import Session

_LABEL: Final = "podstream.dev/session"
_ROLE: Final = "podstream.dev/role"


def run(options: argparse.Namespace, *, api: Api, console: Console) -> ExitCode:
    """Print or collect the logs of one session."""
    session = Session.read(api, options.name)
    pods = pods_of(api, session)
    if options.collect is not None:
        return _collect(session, pods, folder=Path(options.collect), api=api, console=console)
    role = "client" if options.client else "session"
    chosen = [pod for pod in pods if pod["metadata"]["labels"].get(_ROLE) == role]
    if not chosen:
        raise NotFound(
            f"session {session.name} is {session.phase} and has no {role} pod any more: its logs "
            "are gone with it (lingerSeconds keeps a session's pod)"
        )
    tail = [f"--tail={options.tail}"] if options.tail >= 0 else []
    if options.follow:
        return ExitCode(min(1, api.follow(_name(chosen[-1]), *tail)))
    for pod in chosen:
        if len(chosen) > 1:
            console.say(f"==> {_name(pod)} <==")
        console.write(api.logs(_name(pod), *tail))
    return ExitCode.OK


def pods_of(api: Api, session: Session) -> list[Body]:
    """The pods of this session, the oldest first: not those of an earlier one of the same name."""
    items = api.get("pods", f"--selector={_LABEL}={session.name}")["items"]
    own = [pod for pod in items if _belongs_to(pod, session)]
    return sorted(own, key=lambda pod: (pod["metadata"]["creationTimestamp"], _name(pod)))


def _belongs_to(pod: Body, session: Session) -> bool:
    owners = {owner.get("uid") for owner in pod["metadata"].get("ownerReferences") or []}
    return session.uid in owners


def _name(pod: Body) -> str:
    return str(pod["metadata"]["name"])


def _collect(
    session: Session, pods: list[Body], *, folder: Path, api: Api, console: Console
) -> ExitCode:
    """Write the session, its pods, their logs and its events; one unreadable part stops nothing."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder} cannot be made: {error}") from error
    missing = []
    _write_json(folder / "session.json", session.body, console=console)
    for pod in pods:
        _write_json(folder / f"{_name(pod)}.json", pod, console=console)
        try:
            text = api.logs(_name(pod), "--timestamps")
        except PluginError as error:
            missing.append(f"{_name(pod)}: {error}")
            continue
        _write(folder / f"{_name(pod)}.log", text, console=console)
    try:
        _write_json(folder / "events.json", _events(api, session, pods), console=console)
    except Refused as error:
        missing.append(f"events: {error}")
    for line in missing:
        console.say(f"not collected: {line}")
    return ExitCode.FAILED if missing else ExitCode.OK


def _events(api: Api, session: Session, pods: list[Body]) -> list[Any]:
    about = {session.uid, *(pod["metadata"]["uid"] for pod in pods)}
    items = api.get("events")["items"]
    return [item for item in items if (item.get("involvedObject") or {}).get("uid") in about]


def _write_json(path: Path, value: Any, *, console: Console) -> None:
    _write(path, json.dumps(value, indent=2) + "\n", console=console)


def _write(path: Path, text: str, *, console: Console) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error}") from error
    console.write(f"{path}\n")
