"""Cold start: a session's pod and its first picture, against plain pods of the same image.

    make bench BENCH=tests/bench/bench_cold_start.py    # or, after eval "$(make -s cluster-env)":
    PYTHONPATH=tests:tests/cluster python tests/bench/bench_cold_start.py [--rounds 10] [--burst 10]

Each round applies, one after another and with nothing else under way, a StreamSession, a Deployment
of one pod with the session pod's own container, and a Job with it. All three start with `kubectl
apply` and all times are on this process's clock, from before kubectl starts until a watch shows the
moment. The session is played over WHEP by a client that asks as soon as kubectl has returned; the
time to the first decoded frame ends in that client. The burst creates its sessions at one moment,
through the API, against a Deployment with as many replicas.
"""

import argparse
import asyncio
import json
import secrets
import time
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

from load.kube import (
    DELETED,
    Follower,
    KubeApi,
    collection,
    connected,
    following,
    pod_marks,
    session_body,
    session_marks,
)
from load.player import Player
from load.quantiles import Quantiles, machine
from load.site import NAMESPACE, Site
from podstream_core import names
from testcluster import audit

LABEL: Final = "bench"
SESSIONS: Final = collection(names.SESSION_PLURAL, namespace=NAMESPACE)
PODS: Final = collection("pods", namespace=NAMESPACE)
DEPLOYMENTS: Final = collection("deployments", namespace=NAMESPACE)
JOBS: Final = collection("jobs", namespace=NAMESPACE)
TIMEOUT_S: Final = 120.0
SMALL: Final = {"requests": {"cpu": "10m", "memory": "64Mi", "ephemeral-storage": "1Mi"}}
SPEC: Final = {
    "circle": {"width": 320, "height": 240, "fps": 30, "frames": 0},
    "access": {"mode": "Public"},
    "pod": {"resources": SMALL, "labels": {LABEL: "session"}},
    "lingerSeconds": 0,
    "startupTimeoutSeconds": 600,
}


@dataclass
class Bench:
    """What a round needs, and what the rounds have found."""

    site: Site
    api: KubeApi
    http: aiohttp.ClientSession
    sessions: Follower
    pods: Follower
    found: dict[str, list[float]] = field(default_factory=dict)

    def note(self, what: str, seconds: float) -> None:
        self.found.setdefault(what, []).append(seconds)

    def pods_of(self, label: str) -> list[str]:
        """Names of the pods that carry a value of the label."""
        return [
            name
            for name, pod in self.pods.latest.items()
            if pod["metadata"]["labels"].get(LABEL) == label
        ]

    async def reached(self, label: str, mark: str, *, count: int = 1) -> list[float]:
        """When each of the pods of a label reached a mark; waits until so many have."""

        def moments() -> list[float]:
            chosen = [self.pods.moments[name] for name in self.pods_of(label)]
            return [found[mark] for found in chosen if mark in found]

        await self.pods.wait(
            lambda: len(moments()) >= count, what=f"{mark} of {label}", timeout_s=TIMEOUT_S
        )
        return moments()

    async def gone(self, label: str) -> None:
        """Wait until no pod of a label is left: rounds do not weigh on each other."""
        await self.pods.wait(
            lambda: all(DELETED in self.pods.moments[name] for name in self.pods_of(label)),
            what=f"removal of {label}",
            timeout_s=TIMEOUT_S,
        )


async def apply(body: dict[str, Any]) -> float:
    """`kubectl apply`; the moment before it started."""
    begun = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *("kubectl", "-n", NAMESPACE, "apply", "-f", "-"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
    )
    await process.communicate(json.dumps(body).encode())
    if process.returncode:
        raise RuntimeError(f"kubectl apply failed with status {process.returncode}")
    return begun


def labelled(label: str) -> dict[str, Any]:
    """The session's spec with the label on its pod."""
    return {**SPEC, "pod": {"resources": SMALL, "labels": {LABEL: label}}}


async def run_session(bench: Bench) -> None:
    """One session, played."""
    name = f"cold-{secrets.token_hex(3)}"
    begun = await apply(session_body(name, labelled(name)))
    async with Player(bench.http, bench.site.whep_url(name)) as player:
        await player.play(timeout_s=TIMEOUT_S, patient=True)
        bench.note("session, first decoded frame", player.times.frame - begun)
        await player.leave()
    await bench.sessions.wait_for(name, "Ready")
    bench.note("session, Ready", bench.sessions.moments[name]["Ready"] - begun)
    await bench.api.delete(f"{SESSIONS}/{name}")
    await bench.gone(name)


async def run_deployment(bench: Bench, template: dict[str, Any]) -> None:
    """The same container without podstream, until its pod is Ready."""
    name = f"plain-{secrets.token_hex(3)}"
    begun = await apply(deployment(name, template))
    (ready,) = await bench.reached(name, "Ready")
    bench.note("Deployment, pod Ready", ready - begun)
    await bench.api.delete(f"{DEPLOYMENTS}/{name}")
    await bench.gone(name)


async def run_job(bench: Bench, template: dict[str, Any]) -> None:
    """A Job per session, until its pod runs."""
    name = f"job-{secrets.token_hex(3)}"
    body = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {
            "backoffLimit": 0,
            "template": {
                "metadata": {"labels": {LABEL: name}},
                "spec": {**template, "restartPolicy": "Never"},
            },
        },
    }
    begun = await apply(body)
    (running,) = await bench.reached(name, "Running")
    bench.note("Job, pod Running", running - begun)
    (ready,) = await bench.reached(name, "Ready")
    bench.note("Job, pod Ready", ready - begun)
    await bench.api.delete(f"{JOBS}/{name}")
    await bench.gone(name)


def deployment(name: str, template: dict[str, Any], *, replicas: int = 1) -> dict[str, Any]:
    """A Deployment of a pod template."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {LABEL: name}},
            "template": {
                "metadata": {"labels": {LABEL: name}},
                "spec": {**template, "restartPolicy": "Always"},
            },
        },
    }


async def template_of(bench: Bench) -> dict[str, Any]:
    """The pod spec that the operator makes, without what Kubernetes has filled in."""
    name = f"cold-{secrets.token_hex(3)}"
    await bench.api.create(SESSIONS, session_body(name, labelled(name)))
    await bench.reached(name, "Ready")
    spec = bench.pods.latest[bench.pods_of(name)[0]]["spec"]
    await bench.api.delete(f"{SESSIONS}/{name}")
    await bench.gone(name)
    keep = ("containers", "securityContext", "terminationGracePeriodSeconds", "volumes")
    return {"automountServiceAccountToken": False, **{key: spec[key] for key in keep}}


async def run_burst(bench: Bench, template: dict[str, Any], *, size: int) -> tuple[float, ...]:
    """All at one moment: seconds until the last session, and the last replica, is Ready."""
    label = f"burst-{secrets.token_hex(3)}"
    begun = time.monotonic()
    bodies = [session_body(f"{label}-{number}", labelled(label)) for number in range(size)]
    async with asyncio.TaskGroup() as group:
        for body in bodies:
            group.create_task(bench.api.create(SESSIONS, body))
    chosen = [body["metadata"]["name"] for body in bodies]
    for name in chosen:
        await bench.sessions.wait_for(name, "Ready", timeout_s=TIMEOUT_S)
    moments = [bench.sessions.moments[name]["Ready"] - begun for name in chosen]
    for name in chosen:
        bench.note("burst, session Ready", bench.sessions.moments[name]["Ready"] - begun)
        await bench.api.delete(f"{SESSIONS}/{name}")
    await bench.gone(label)

    name = f"plain-{secrets.token_hex(3)}"
    begun = time.monotonic()
    await bench.api.create(DEPLOYMENTS, deployment(name, template, replicas=size))
    plain = [at - begun for at in await bench.reached(name, "Ready", count=size)]
    for seconds in plain:
        bench.note("burst, Deployment's pod Ready", seconds)
    await bench.api.delete(f"{DEPLOYMENTS}/{name}")
    await bench.gone(name)
    return max(moments), max(plain)


def api_writes(site: Site, *, since: int) -> tuple[int, int]:
    """Podstream's API writes behind a mark, without Events; and the Events."""
    assert site.audit_log is not None
    prefix = f"system:serviceaccount:{NAMESPACE}:podstream-"
    writes = [
        request
        for request in audit.read(site.audit_log, since=since)
        if request.is_write and request.user.startswith(prefix)
    ]
    events = sum(request.resource == "events" for request in writes)
    return len(writes) - events, events


async def run(*, rounds: int, burst: int) -> None:
    site = Site.from_env()
    async with (
        connected(site.kubeconfig) as api,
        aiohttp.ClientSession() as http,
        following(api, SESSIONS, marks=session_marks) as sessions,
        following(api, PODS, marks=pod_marks, selector=LABEL) as pods,
    ):
        bench = Bench(site, api, http, sessions, pods)
        template = await template_of(bench)
        mark = audit.end_of(site.audit_log) if site.audit_log else 0
        for _ in range(rounds):
            await run_session(bench)
            await run_deployment(bench, template)
            await run_job(bench, template)
        writes = api_writes(site, since=mark) if site.audit_log else None
        last = await run_burst(bench, template, size=burst) if burst else None
    quantiles = {what: Quantiles.of(seconds) for what, seconds in bench.found.items()}
    print(f"cold start, {rounds} rounds, kubectl apply -> moment; {machine()}")
    for what, value in quantiles.items():
        print(f"  {what:<30}{value}")
    ready = quantiles["session, Ready"].p50
    for what in ("Deployment, pod Ready", "Job, pod Running", "Job, pod Ready"):
        print(f"  ratio session Ready / {what}: p50 {ready / quantiles[what].p50:.2f}x")
    if last is not None:
        print(f"  ratio of the burst's last ({burst} at once): {last[0] / last[1]:.2f}x")
    if writes is not None:
        print(f"  API writes per session {writes[0] / rounds:.2f}, Events {writes[1] / rounds:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description="cold start of sessions, against plain pods")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--burst", type=int, default=10, help="sessions at once; 0: no burst")
    options = parser.parse_args()
    asyncio.run(run(rounds=options.rounds, burst=options.burst))


if __name__ == "__main__":
    main()
