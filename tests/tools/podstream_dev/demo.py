"""The main job, from nothing to a measured result."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from podstream_dev import chart, images
from podstream_dev.intruder.cluster import Cluster
from podstream_dev.intruder.objects import EDGE
from podstream_dev.intruder.play import play
from podstream_dev.platforms import Platform
from podstream_dev.shell import ROOT, DevError, capture, say, step

DEADLINE_S = 180


def run(platform: Platform, *, sample: Path) -> None:
    """Cluster, images, chart, a session, its result on standard output.

    Raises:
        DevError: a step failed, or the session did not complete.
    """
    env = _prepare(platform)
    name = _apply(sample, env=env)
    _watch(name, env=env)
    _report(name, env=env)


def run_intruder(platform: Platform, *, cameras: int) -> None:
    """Cluster, images, chart, and a site with intruder detection; its result on standard output.

    Raises:
        DevError: a step failed, or the result is not what the cameras were shown.
    """
    env = _prepare(platform)
    outcome = play(Cluster(env), cameras=cameras)
    print(outcome)
    if outcome.faults:
        raise DevError("; ".join(outcome.faults) + "\n" + _explain(EDGE, env=env))


def _prepare(platform: Platform) -> Mapping[str, str]:
    """A cluster with this checkout's images and chart; the variables that lead to it."""
    with step(f"cluster ({platform.name})"):
        platform.up()
    env = platform.env()
    platform.load(images.build())
    chart.install(platform, env=env)
    return env


def _apply(sample: Path, *, env: Mapping[str, str]) -> str:
    kubectl = ["kubectl", "-n", chart.NAMESPACE]
    path = str(sample.relative_to(ROOT)) if sample.is_relative_to(ROOT) else str(sample)
    capture([*kubectl, "delete", "--ignore-not-found", "--wait", "-f", path], env=env)
    say(f"$ kubectl -n {chart.NAMESPACE} apply -f {path}")
    applied = capture([*kubectl, "apply", "-f", path, "-o", "name"], env=env)
    return applied.strip().rpartition("/")[2]


def _watch(name: str, *, env: Mapping[str, str]) -> None:
    """Show the session's rows until it has ended."""
    kubectl = ["kubectl", "-n", chart.NAMESPACE]
    say(f"$ kubectl -n {chart.NAMESPACE} get strs {name} -w")
    with subprocess.Popen(
        [*kubectl, "get", "strs", name, "-w"], env={**os.environ, **env}, cwd=ROOT
    ) as rows:
        try:
            ended = "jsonpath={.status.timeline.completedAt}"
            capture(
                [*kubectl, "wait", f"strs/{name}", f"--for={ended}", f"--timeout={DEADLINE_S}s"],
                env=env,
            )
        except DevError as error:
            raise DevError(f"{error}\n{_explain(name, env=env)}") from error
        finally:
            rows.terminate()


def _explain(name: str, *, env: Mapping[str, str]) -> str:
    """What a person would look at next."""
    kubectl = ["kubectl", "-n", chart.NAMESPACE]
    looks = (
        [*kubectl, "describe", "strs", name],
        [*kubectl, "get", "pods", "-o", "wide"],
        [*kubectl, "logs", f"deploy/{chart.RELEASE}-operator", "--tail=20"],
        [*kubectl, "logs", f"deploy/{chart.RELEASE}-router", "--tail=20"],
    )
    parts = []
    for command in looks:
        try:
            parts.append(f"$ {' '.join(command)}\n{capture(command, env=env)}")
        except DevError as error:
            parts.append(str(error))
    return "\n".join(parts)


def _report(name: str, *, env: Mapping[str, str]) -> None:
    kubectl = ["kubectl", "-n", chart.NAMESPACE]
    session = json.loads(capture([*kubectl, "get", "strs", name, "-o", "json"], env=env))
    status = session["status"]
    results = status.get("results") or {}
    say(f"$ kubectl -n {chart.NAMESPACE} get strs {name} -o jsonpath={{.status.results}}")
    print(json.dumps(results, indent=2))
    circle = results.get("circle") or {}
    if status.get("phase") != "Completed" or circle.get("rmsePx") is None:
        raise DevError(
            f"session {name} ended as {status.get('phase')}: {status.get('reason')} "
            f"{status.get('message')}\n{_explain(name, env=env)}"
        )
    print(
        f"session {name} completed: RMSE {circle['rmsePx']:.3f} px over "
        f"{circle['framesScored']} frames at {circle['fps']:.1f} fps"
    )
