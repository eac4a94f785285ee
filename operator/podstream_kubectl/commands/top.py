"""`top`: what each session takes and what it delivers."""

import argparse
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from podstream_kubectl.console import Console
from podstream_kubectl.errors import ExitCode, Refused
from podstream_kubectl.figures import text_of
from podstream_kubectl.kubectl import Api
from podstream_kubectl.sessions import Session, age_of, list_sessions, utc_now
from podstream_kubectl.tables import table

_ROLE: Final = "podstream.dev%2Frole%3Dsession"
_SCALES: Final = {
    "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "": Decimal(1),
    "k": Decimal("1e3"), "M": Decimal("1e6"), "G": Decimal("1e9"),
    "Ki": Decimal(2**10), "Mi": Decimal(2**20), "Gi": Decimal(2**30),
}  # fmt: skip
_HEADINGS: Final = (
    "SESSION", "PHASE", "CPU", "MEMORY", "FPS", "RMSE", "LATENCY P50", "P95", "POD", "AGE",
)  # fmt: skip

Usage = dict[tuple[str, str], tuple[float, float]]
"""By namespace and pod: CPU in cores and memory in bytes."""


def run(options: argparse.Namespace, *, api: Api, console: Console) -> ExitCode:
    """Print one line a session."""
    everywhere = options.all_namespaces
    sessions = list_sessions(api, everywhere=everywhere)
    if not options.ended:
        sessions = [session for session in sessions if not session.has_ended]
    usage = _usage(api, everywhere=everywhere, console=console)
    found = [row_of(session, usage=usage) for session in sessions]
    if options.output == "json":
        console.json(found)
        return ExitCode.OK
    if not found:
        console.say("no sessions" if options.ended else "no sessions run; --ended shows all")
        return ExitCode.OK
    lines = [_cells(row) for row in found]
    if everywhere:
        lines = [[row["namespace"], *line] for row, line in zip(found, lines, strict=True)]
    console.write(table(["NAMESPACE", *_HEADINGS] if everywhere else _HEADINGS, lines))
    return ExitCode.OK


def row_of(session: Session, *, usage: Usage) -> dict[str, Any]:
    """Figures of one session; `None` where they are not known."""
    cpu, memory = usage.get((session.namespace, session.pod), (None, None))
    latency = session.figure("latencyMs") or {}
    fps = session.figure("fps")
    return {
        "namespace": session.namespace,
        "name": session.name,
        "phase": session.phase,
        "pod": session.pod or None,
        "cpuCores": cpu,
        "memoryBytes": memory,
        "fps": fps if fps is not None else session.figure("framesPerSecond"),
        "rmsePx": session.figure("rmsePx"),
        "latencyMs": {"p50": latency.get("p50"), "p95": latency.get("p95")},
        "age": age_of(session.created, now=utc_now()),
    }


def _cells(row: Mapping[str, Any]) -> list[str]:
    cpu, memory = row["cpuCores"], row["memoryBytes"]
    latency = row["latencyMs"]
    return [
        row["name"],
        row["phase"],
        "-" if cpu is None else f"{cpu * 1000:.0f}m",
        "-" if memory is None else f"{memory / 2**20:.0f}Mi",
        text_of(row["fps"]) or "-",
        text_of(row["rmsePx"]) or "-",
        *(f"{value:.1f} ms" if value is not None else "-" for value in latency.values()),
        row["pod"] or "-",
        row["age"],
    ]


def _usage(api: Api, *, everywhere: bool, console: Console) -> Usage:
    """What metrics-server knows; nothing, and a word why, where there is none."""
    scope = "" if everywhere else f"namespaces/{api.namespace}/"
    path = f"/apis/metrics.k8s.io/v1beta1/{scope}pods?labelSelector={_ROLE}"
    try:
        items = api.raw(path)["items"]
    except Refused:
        console.say("no CPU and memory: the cluster has no metrics-server, or you may not read it")
        return {}
    found: Usage = {}
    for item in items:
        meta = item["metadata"]
        used = [container.get("usage") or {} for container in item.get("containers") or []]
        found[meta["namespace"], meta["name"]] = (
            sum(quantity(each.get("cpu", "0")) for each in used),
            sum(quantity(each.get("memory", "0")) for each in used),
        )
    return found


def quantity(text: str) -> float:
    """A Kubernetes quantity as a number; 0 where it cannot be read."""
    number = text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    try:
        return float(Decimal(number) * _SCALES[text[len(number) :]])
    except (InvalidOperation, KeyError):
        return 0.0
