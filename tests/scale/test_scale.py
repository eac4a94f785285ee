"""Thousands of sessions: does the operator keep up, stay small, and come back without a write?

SESSIONS (5000) and SESSIONS_PER_SECOND (20) set the size. The API server, the scheduler and the
played nodes share the machine with the operator: figures of one run are compared with each other.
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from load.kube import (
    DELETED,
    Follower,
    KubeApi,
    collection,
    connected,
    create_at_rate,
    following,
    session_body,
    session_marks,
)
from load.meter import metering
from load.quantiles import Quantiles, machine
from podstream_core.names import API_VERSION, POOL_KIND, POOL_PLURAL, SESSION_PLURAL
from scale.figures import Report, counted, linearity
from scale.stage import NAMESPACE, OPERATOR_USER, Stage, running_stage
from testcluster import audit

SESSIONS: Final = int(os.environ.get("SESSIONS", "5000"))
RATE: Final = float(os.environ.get("SESSIONS_PER_SECOND", "20"))
PROBES: Final = 20
POOL: Final = "tank"
WARM: Final = 40
PATH: Final = collection(SESSION_PLURAL, namespace=NAMESPACE)
SPEC: Final = {
    "circle": {"frames": 600},
    "pod": {"resources": {"requests": {"cpu": "1m", "memory": "1Mi"}}},
    "idleTimeoutSeconds": 86_400,
    "activeDeadlineSeconds": 86_400,
    "lingerSeconds": 0,
    "ttlSecondsAfterFinished": 5,
    "startupTimeoutSeconds": 3600,
}

MAX_RSS_MIB: Final = 300
MAX_CORES: Final = 1.0
MAX_SETTLED_RATIO: Final = 1.2
MAX_CONVERGED_S: Final = 60.0
MAX_WRITES: Final = 8.0

pytestmark = pytest.mark.long


@dataclass(frozen=True)
class Run:
    """One run on a stage of its own."""

    stage: Stage
    api: KubeApi
    sessions: Follower
    report: Report
    count: int
    """Sessions."""
    spec: dict[str, Any]
    mark: int
    """Where the audit log ended when the first session came."""

    @property
    def total(self) -> int:
        """With those that come while the operator is away."""
        return self.count + PROBES


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("count", "pool"),
    [
        pytest.param(SESSIONS, None, id="plain"),
        pytest.param(SESSIONS // 5, {"warm": WARM, "max": 5000}, id="out of a pool"),
    ],
)
async def test_many_sessions_settle_as_they_come(
    count: int, pool: dict[str, int] | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = Report()
    try:
        with running_stage(tmp_path, sessions=count + WARM) as stage:
            async with (
                connected(stage.instance.kubeconfig) as api,
                following(api, PATH, marks=session_marks) as sessions,
            ):
                stage.start_operator()
                await _until_ready(stage)
                spec = SPEC
                if pool is not None:
                    await _fill(api, pool)
                    spec = {**SPEC, "poolRef": {"name": POOL}}
                mark = audit.end_of(stage.audit_log)
                run = Run(stage, api, sessions, report, count, spec, mark)
                await _arrive(run)
                await _restart(run)
                await _end(run)
    finally:
        with capsys.disabled():
            print(f"\n{report}")
    assert not report.missed


async def _fill(api: KubeApi, numbers: dict[str, int]) -> None:
    """A pool, and all of its pods idle."""
    path = collection(POOL_PLURAL, namespace=NAMESPACE)
    template = {"spec": SPEC}
    body = {
        "apiVersion": API_VERSION,
        "kind": POOL_KIND,
        "metadata": {"name": POOL},
        "spec": {"template": template, **numbers},
    }
    await api.create(path, body)
    async with asyncio.timeout(120):
        while True:
            status = (await api.get(f"{path}/{POOL}")).get("status", {})
            if status.get("warm", 0) >= numbers["warm"]:
                return
            await asyncio.sleep(0.2)


async def _arrive(run: Run) -> None:
    """All sessions come at a steady rate; each becomes Ready."""
    stage, sessions, report = run.stage, run.sessions, run.report
    pid = stage.operator_pid()
    names = [f"s-{number:05d}" for number in range(run.count)]
    async with metering(pid, settled=lambda: sessions.counts["Ready"]) as meter:
        bodies = (session_body(name, run.spec) for name in names)
        begun, last = await create_at_rate(run.api, PATH, bodies, rate=RATE, follower=sessions)
        await sessions.wait_count(
            "Ready", run.count, timeout_s=240 + run.count / RATE, alive=stage.check_alive
        )
    settled = max(sessions.moments[name]["Ready"] for name in names)
    ready_s = [sessions.seconds(name, "created", "Ready") for name in names]
    arrival_s = last - begun
    report.say(f"{run.count} sessions at {(run.count - 1) / arrival_s:.1f}/s; {machine()}")
    requests = _writes(stage, since=run.mark)
    for line in linearity(meter, ready_s=ready_s, requests=requests):
        report.say(line)
    report.say(f"create -> Ready  {Quantiles.of(ready_s)}")
    report.say(f"settled {settled - last:.2f} s after the last creation")
    report.bound("arrival time", arrival_s, at_most=1.05 * run.count / RATE, unit="s")
    report.bound("settled / arrival time", (settled - begun) / arrival_s, at_most=MAX_SETTLED_RATIO)
    report.bound("operator RSS, peak", meter.peak_mib(), at_most=MAX_RSS_MIB, unit="MiB")
    report.bound("operator CPU, mean", meter.cores(), at_most=MAX_CORES, unit="cores")
    report.bound("operator CPU, busiest 10 s", meter.peak_cores(), at_most=MAX_CORES, unit="cores")


async def _restart(run: Run) -> None:
    """The operator goes and comes back; meanwhile a few more sessions were created."""
    stage, sessions, report = run.stage, run.sessions, run.report
    stage.stop_operator()
    probes = [f"probe-{number:05d}" for number in range(PROBES)]
    bodies = (session_body(name, run.spec) for name in probes)
    await create_at_rate(run.api, PATH, bodies, rate=RATE, follower=sessions)
    mark = audit.end_of(stage.audit_log)
    begun = time.monotonic()
    pid = stage.start_operator()
    async with metering(pid, settled=lambda: sessions.counts["Ready"]) as meter:
        await sessions.wait_count("Ready", run.total, timeout_s=300, alive=stage.check_alive)
        served_s = max(sessions.moments[name]["Ready"] for name in probes) - begun
        await _until_all_seen(stage, count=run.total)
        converged_s = time.monotonic() - begun
        await asyncio.sleep(10)  # whatever it would write late, it writes now
    writes = _writes(stage, since=mark)
    # A pool refills what the new sessions have taken.
    unchanged = [request for request in writes if request.name.startswith("s-")]
    report.say(f"restart: {PROBES} sessions that came meanwhile are Ready after {served_s:.1f} s")
    report.bound("restart, converged after", converged_s, at_most=MAX_CONVERGED_S, unit="s")
    report.bound("restart, writes for unchanged sessions", len(unchanged), at_most=0)
    report.bound("restart, operator RSS, peak", meter.peak_mib(), at_most=MAX_RSS_MIB, unit="MiB")
    if unchanged:
        report.say(f"  {dict(counted(unchanged))}")


async def _end(run: Run) -> None:
    """Clients come and go at the rate of the arrival; the sessions end and are removed."""
    stage, sessions, report, total = run.stage, run.sessions, run.report, run.total
    pid = stage.operator_pid()
    async with metering(pid, settled=lambda: sessions.counts[DELETED]) as meter:
        await _move(stage, "Connected")
        await sessions.wait_count("Connected", total, timeout_s=120, alive=stage.check_alive)
        await _move(stage, "Completed")
        await sessions.wait_count("Completed", total, timeout_s=120, alive=stage.check_alive)
        await sessions.wait_count(DELETED, total, timeout_s=180, alive=stage.check_alive)
    writes = _writes(stage, since=run.mark)
    apart = Counter(item.resource for item in writes if item.resource in ("events", POOL_PLURAL))
    life = [request for request in writes if request.resource not in apart]
    report.say("end: all connected, completed and removed; writes by podstream, whole lives:")
    for what, count in sorted(counted(life).items()):
        report.say(f"  {what:<38}{count / total:>6.2f} a session")
    report.bound("API writes per session", len(life) / total, at_most=MAX_WRITES)
    report.bound("Events per session, apart", apart["events"] / total, at_most=4)
    if apart[POOL_PLURAL]:
        report.say(f"status of the pool, apart: {apart[POOL_PLURAL]} writes")
    report.bound("end, operator RSS, peak", meter.peak_mib(), at_most=MAX_RSS_MIB, unit="MiB")
    report.bound("end, operator CPU, mean", meter.cores(), at_most=MAX_CORES, unit="cores")
    others = audit.writes_by_user(audit.read(stage.audit_log)).most_common(6)
    report.say("all writes by user: " + ", ".join(f"{user} {count}" for user, count in others))


def _writes(stage: Stage, *, since: int) -> Sequence[audit.Request]:
    """Writes of the operator's service account behind a mark in the audit log.

    Not those to its Lease, which come at a steady rate whatever there is to do.
    """
    return [
        request
        for request in audit.read(stage.audit_log, since=since)
        if request.is_write and request.user == OPERATOR_USER and request.resource != "leases"
    ]


async def _move(stage: Stage, phase: str) -> None:
    """Take every agent to a phase at the arrival's rate."""
    timeout = aiohttp.ClientTimeout(total=None)
    async with (
        aiohttp.ClientSession(timeout=timeout) as http,
        http.post(f"{stage.farm_url}/move", json={"phase": phase, "rate": RATE}) as response,
    ):
        response.raise_for_status()


async def _until_ready(stage: Stage) -> None:
    """Wait for the operator's readiness."""
    async with asyncio.timeout(60), aiohttp.ClientSession() as http:
        while True:
            stage.check_alive()
            try:
                async with http.get(f"{stage.operator_url}/readyz") as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientConnectorError:
                pass
            await asyncio.sleep(0.1)


async def _until_all_seen(stage: Stage, *, count: int) -> None:
    """Wait until a started operator is ready and has looked at every session once."""
    await _until_ready(stage)
    async with asyncio.timeout(300), aiohttp.ClientSession() as http:
        while True:
            async with http.get(f"{stage.operator_url}/metrics") as response:
                values = _gauges(await response.text())
            looked = values.get('podstream_operator_reconcile_total{result="ok"}', 0.0)
            if looked >= count and values["podstream_operator_queue_depth"] == 0:
                return
            await asyncio.sleep(0.25)


def _gauges(text: str) -> dict[str, float]:
    """Prometheus' text as values by name and labels."""
    rows = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in rows}
