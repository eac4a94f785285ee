"""The kubectl plugin on a real cluster, run as its users run it: `kubectl podstream ...`."""

import base64
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e import kube
from e2e.sessions import Session, circle, session
from podstream_core.tokens import CLIENT_AUDIENCE, SigningKey, TokenType

pytestmark = pytest.mark.long  # a whole sample, and the router's Service is changed: make test-long

SAMPLE = Path(__file__).parents[2] / "crds/samples/circle.yaml"
_BIN = str(Path(sys.executable).parent)


def podstream(*arguments: str, timeout_s: float = 150) -> "subprocess.CompletedProcess[str]":
    """`kubectl podstream` with this environment's plugin."""
    return subprocess.run(
        ["kubectl", "podstream", "-n", kube.NAMESPACE, *arguments],
        env={**os.environ, "PATH": f"{_BIN}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
    )


def findings() -> dict[str, dict[str, Any]]:
    """What doctor says, by check."""
    done = podstream("doctor", "-o", "json")
    found = {item["check"]: item for item in json.loads(done.stdout)}
    assert done.returncode == any(item["level"] == "broken" for item in found.values()), done.stderr
    return found


@contextmanager
def patched(kind: str, name: str, *, patch: Any, undo: Any) -> Iterator[None]:
    """Break an object; mend it on leaving."""
    kube.kubectl("patch", kind, name, "--type=json", f"--patch={json.dumps(patch)}")
    try:
        yield
    finally:
        kube.kubectl("patch", kind, name, "--type=json", f"--patch={json.dumps(undo)}")


def test_run_of_the_sample_ends_with_its_table_and_logs_can_be_collected(tmp_path: Path) -> None:
    name = f"plug-{secrets.token_hex(3)}"
    try:
        done = podstream("run", "-f", str(SAMPLE), "--name", name, "--timeout", "2m")
        assert done.returncode == 0, done.stderr
        assert f"{name}: Completed" in done.stderr
        lines = [line.split() for line in done.stdout.splitlines()]
        assert lines[0] == ["SESSION", "WORKLOAD", "FIGURE", "VALUE", "UNIT"]
        figures = {line[2]: line[3] for line in lines[1:]}
        assert figures["framesScored"] == "300"
        assert 0 < float(figures["rmsePx"]) < 2

        again = podstream("run", "-f", str(SAMPLE), "--name", name)
        assert again.returncode == 4, "the name is taken"
        collected = podstream("logs", name, "--collect", str(tmp_path))
        assert collected.returncode == 0, collected.stderr
        pods = Session(name).pods()
        assert pods, "the pod lingers for its artefacts"
        assert (tmp_path / f"{pods[0]['metadata']['name']}.log").read_text()
        words = subprocess.run(
            [f"{_BIN}/kubectl_complete-podstream", "results", "-n", kube.NAMESPACE, name[:6]],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        assert name in words.stdout
    finally:
        kube.delete("strs", name)


def test_a_session_is_ended_and_an_invalid_one_is_refused_in_the_words_of_the_api(
    tmp_path: Path,
) -> None:
    with session({"circle": circle(frames=0)}, prefix="plug") as made:
        made.wait_phase("Ready")
        ended = podstream("end", made.name, "--wait", "--timeout", "1m")
        assert ended.returncode == 0, ended.stderr
        assert made.phase == "Completed", "it has no end of its own"
        stopped = podstream("stop", made.name)
        assert stopped.returncode == 4
    document = yaml.safe_load(SAMPLE.read_text())
    document["spec"]["circle"]["fps"] = 1000
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(yaml.safe_dump(document))
    refused = podstream("run", "-f", str(wrong))
    assert refused.returncode == 4
    assert "spec.circle.fps" in refused.stderr


def test_a_recording_is_switched_listed_and_downloaded(tmp_path: Path) -> None:
    spec = {
        "stream": {"recording": {"enabled": False, "codec": "H264"}},
        "access": {"mode": "Public"},
        "listeners": ["frames"],
        "resultsIntervalSeconds": 1,
    }
    with session(spec, prefix="plug") as made:
        made.wait_phase("Ready")
        host, _, port = made.endpoint("TCP").removeprefix("tcp://").rpartition(":")
        push = [sys.executable, "-m", "podstream_workloads.stream.cli", "push", "--pattern"]
        publisher = subprocess.Popen(
            [*push, "--host", host, "--port", port, "--fps", "15", "--quiet"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            made.wait_phase("Connected")
            for action, wanted in (("start", True), ("stop", False)):
                done = podstream("record", action, made.name)
                assert done.returncode == 0, done.stderr
                kube.until(
                    partial(_has_switched, made, wanted),
                    what=f"recording after {action}",
                    timeout_s=30,
                )
            kube.until(lambda: _recording(made).get("files"), what="a whole file", timeout_s=30)
            (item,) = json.loads(podstream("record", "list", made.name, "-o", "json").stdout)
            got = podstream("record", "get", made.name, "-d", str(tmp_path))
            assert got.returncode == 0, got.stderr
            assert (tmp_path / item["name"]).stat().st_size == item["bytes"]
            stopped = podstream("stop", made.name)
            assert stopped.returncode == 0, stopped.stderr
            assert made.body["spec"]["stream"]["state"] == "Stopped"
        finally:
            publisher.terminate()
            publisher.wait(timeout=20)


def _has_switched(made: Session, wanted: bool) -> bool:
    return _recording(made).get("active") is wanted


def _recording(made: Session) -> dict[str, Any]:
    stream = (made.status.get("results") or {}).get("stream") or {}
    found: dict[str, Any] = stream.get("recording") or {}
    return found


def test_doctor_finds_nothing_broken() -> None:
    broken = {check: item for check, item in findings().items() if item["level"] == "broken"}
    assert broken == {}


def test_doctor_names_a_broken_port_mapping_and_a_stale_token() -> None:
    """Both at once: each is found beside the other, and gone when it is mended."""
    service = kube.get("service", "podstream-router")
    assert service is not None
    ports = service["spec"]["ports"]
    index = next(i for i, port in enumerate(ports) if port["name"] == "http")
    path = f"/spec/ports/{index}/nodePort"
    breaking = [{"op": "replace", "path": path, "value": 30999}]
    mending = [{"op": "replace", "path": path, "value": ports[index]["nodePort"]}]
    with session({"circle": circle(frames=0)}, prefix="plug") as made:
        made.wait_phase("Ready")
        uid = made.body["metadata"]["uid"]
        stranger = SigningKey.generate().sign(
            TokenType.CLIENT, audience=CLIENT_AUDIENCE, subject=uid, lifetime_s=100_000
        )
        data = {"data": {"token": base64.b64encode(stranger.encode()).decode()}}
        secret = made.status["access"]["secretName"]
        kube.kubectl("patch", "secret", secret, f"--patch={json.dumps(data)}")
        with patched("service", "podstream-router", patch=breaking, undo=mending):
            found = kube.until(
                lambda: _broken(findings(), prefix="HTTP at "),
                what="doctor naming the port mapping",
                timeout_s=30,
            )
            assert "broken port mapping" in found["message"]
            assert "node port 30999" in found["fix"]
            stale = findings()[f"token of {kube.NAMESPACE}/{made.name}"]
            assert stale["level"] == "broken"
            assert "stale token" in stale["message"]
            assert f"delete secret {secret}" in stale["fix"]
        kube.until(
            lambda: not _broken(findings(), prefix="HTTP at "),
            what="the mended port mapping",
            timeout_s=30,
        )


def _broken(found: dict[str, dict[str, Any]], *, prefix: str) -> dict[str, Any]:
    for check, item in found.items():
        if check.startswith(prefix) and item["level"] == "broken":
            return item
    return {}


@pytest.fixture
def path_without_the_pools_crd(tmp_path: Path) -> str:
    """A PATH whose kubectl asks for a CRD that does not exist instead of that of the pools."""
    program = tmp_path / "kubectl"
    real = subprocess.run(
        ["sh", "-c", "command -v kubectl"], capture_output=True, text=True, check=True, timeout=10
    ).stdout.strip()
    program.write_text(
        "#!/bin/sh\n"
        'case "$*" in *customresourcedefinition*streampools*)\n'
        f'exec {real} get customresourcedefinition gone.podstream.dev "-o=json" ;;\n'
        f'esac\nexec {real} "$@"\n'
    )
    program.chmod(0o755)
    return str(tmp_path)


def test_doctor_names_a_missing_crd(path_without_the_pools_crd: str) -> None:
    """The CRD stays, as without it all pools would go: kubectl is asked for one that is gone."""
    path = f"{path_without_the_pools_crd}:{_BIN}:{os.environ['PATH']}"
    done = subprocess.run(
        [f"{_BIN}/kubectl-podstream", "-n", kube.NAMESPACE, "doctor"],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 1
    (line,) = [line for line in done.stdout.splitlines() if "BROKEN" in line]
    assert line.endswith("CRD streampools.podstream.dev: the CRD is missing")
