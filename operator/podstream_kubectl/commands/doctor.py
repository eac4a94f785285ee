"""`doctor`: checks an installation and says what to fix."""

import argparse
import dataclasses
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Final

from podstream_kubectl.console import Console
from podstream_kubectl.doctor import Finding, Level, Network, Probes, find_installation
from podstream_kubectl.doctor.api_check import check_crds
from podstream_kubectl.doctor.findings import unknown
from podstream_kubectl.doctor.parts_check import check_keys, check_parts, check_versions
from podstream_kubectl.doctor.pools_check import check_pools
from podstream_kubectl.doctor.reach_check import check_reach
from podstream_kubectl.doctor.rights_check import check_rights
from podstream_kubectl.doctor.tokens_check import check_tokens
from podstream_kubectl.errors import ExitCode, Refused
from podstream_kubectl.kubectl import Api

_MARKS: Final = {
    Level.OK: "ok     ",
    Level.UNKNOWN: "?      ",
    Level.WARNING: "WARNING",
    Level.BROKEN: "BROKEN ",
}


def run(options: argparse.Namespace, *, api: Api, console: Console) -> ExitCode:
    """Look at everything; fails where something is broken."""
    findings = list(examine(api, probes=Network()))
    if options.output == "json":
        console.json([dataclasses.asdict(item) for item in findings])
    else:
        for item in findings:
            console.write(f"{_MARKS[item.level]}  {item.check}: {item.message}\n")
            if item.fix:
                console.write(f"         fix: {item.fix}\n")
    broken = sum(item.level is Level.BROKEN for item in findings)
    warnings = sum(item.level is Level.WARNING for item in findings)
    console.say(f"{broken} broken, {warnings} warnings, {len(findings)} checks")
    return ExitCode.FAILED if broken else ExitCode.OK


def examine(api: Api, *, probes: Probes) -> Iterator[Finding]:
    """All findings; a part that may not be read costs only its own.

    Raises:
        Unreachable: there is no cluster.
    """
    yield from check_crds(api)
    try:
        installation = find_installation(api)
    except Refused as error:
        yield unknown("operator and router", f"could not be looked at: {error}")
        return
    checks: dict[str, Callable[[], Iterator[Finding]]] = {
        "operator and router": lambda: check_parts(api, installation),
        "versions": lambda: check_versions(installation, own=version("podstream")),
        "keys": lambda: check_keys(api, installation),
        "RBAC": lambda: check_rights(api, installation),
        "reach": lambda: check_reach(api, installation, probes=probes),
        "pools": lambda: check_pools(api, installation),
        "tokens": lambda: check_tokens(api, installation),
    }
    for name, check in checks.items():
        try:
            yield from check()
        except Refused as error:
            yield unknown(name, f"could not be looked at: {error}")
