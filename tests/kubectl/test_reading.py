import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from kubectl.fake_api import FakeApi, completed, invoke, session_body
from podstream_kubectl.commands.top import quantity
from podstream_kubectl.errors import ExitCode
from podstream_kubectl.figures import unit_of


def pod(name: str, *, owner: str = "uid-ball", role: str = "session", age: int = 0) -> Any:
    return {
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "lab",
            "uid": f"uid-{name}",
            "creationTimestamp": f"2026-01-01T00:00:0{age}Z",
            "labels": {"podstream.dev/session": "ball", "podstream.dev/role": role},
            "ownerReferences": [{"uid": owner, "controller": True}],
        },
    }


def test_csv_has_full_precision_and_one_line_a_figure() -> None:
    code, out, _ = invoke(FakeApi(completed()), "results", "ball", "-o", "csv")
    assert code is ExitCode.OK
    rows = list(csv.DictReader(io.StringIO(out)))
    rmse = next(row for row in rows if row["figure"] == "rmsePx")
    assert rmse == {
        "namespace": "lab",
        "session": "ball",
        "phase": "Completed",
        "final": "true",
        "workload": "circle",
        "figure": "rmsePx",
        "value": "0.123456",
        "unit": "px",
    }


def test_live_results_are_marked() -> None:
    running = session_body(phase="Connected", results={"final": False, "circle": {"fps": 30.0}})
    code, _, err = invoke(FakeApi(running), "results", "ball")
    assert code is ExitCode.OK
    assert "not final" in err


@pytest.mark.parametrize(
    ("figure", "value", "unit"),
    [
        ("rmsePx", 1.0, "px"),
        ("latencyMs.p95", 1.0, "ms"),
        ("framesScored", 3, ""),
        ("fps", 30.0, "1/s"),
        ("bytesReceived", 3, "B"),
        ("recordings[0].bytes", 3, "B"),
        ("framesPerSecond", 3.0, "1/s"),
        ("codec", "H264", ""),
        ("batch.items[0].milliseconds", 3.0, "ms"),
    ],
)
def test_units_come_from_names(figure: str, value: Any, unit: str) -> None:
    assert unit_of(figure, value) == unit


def test_logs_are_those_of_this_session_only() -> None:
    """A pod of an earlier session of the same name may still be there."""
    api = FakeApi(session_body(phase="Connected"), pod("old", owner="uid-before"), pod("new"))
    api.written = {"old": "not this\n", "new": "this\n"}
    code, out, _ = invoke(api, "logs", "ball")
    assert code is ExitCode.OK
    assert out == "this\n"


def test_logs_of_a_pod_that_is_gone_say_so() -> None:
    code, _, err = invoke(FakeApi(completed()), "logs", "ball")
    assert code is ExitCode.REFUSED
    assert "its logs are gone" in err


def test_collect_writes_every_pod_and_only_events_of_the_session(tmp_path: Path) -> None:
    def event(uid: str) -> Any:
        return {
            "kind": "Event",
            "metadata": {"name": uid, "namespace": "lab"},
            "involvedObject": {"uid": uid},
        }

    api = FakeApi(
        session_body(phase="Failed"),
        pod("first"),
        pod("second", age=1),
        pod("client", role="client"),
        pod("other", owner="uid-before"),
        event("uid-ball"),
        event("uid-first"),
        event("uid-other"),
    )
    api.written = {"first": "1\n", "client": "c\n"}
    folder = tmp_path / "out"
    code, out, err = invoke(api, "logs", "ball", "--collect", str(folder))
    assert code is ExitCode.FAILED, "one log could not be read"
    assert "not collected: second" in err
    assert {path.name for path in folder.iterdir()} == {
        "session.json",
        "first.json",
        "first.log",
        "second.json",
        "client.json",
        "client.log",
        "events.json",
    }
    assert str(folder / "first.log") in out.splitlines()
    events = json.loads((folder / "events.json").read_text())
    assert {item["metadata"]["name"] for item in events} == {"uid-ball", "uid-first"}


def test_top_shows_metrics_where_there_are_some_and_figures_always() -> None:
    running = session_body(
        phase="Connected",
        pod={"name": "ball-x"},
        results={"circle": {"fps": 29.97, "rmsePx": 0.5, "latencyMs": {"p50": 4.0, "p95": 8.0}}},
    )
    api = FakeApi(running, completed("done"))
    code, out, err = invoke(api, "top")
    assert code is ExitCode.OK
    assert "metrics-server" in err
    assert out.splitlines()[1].split()[:9] == [
        "ball", "Connected", "-", "-", "29.97", "0.5", "4.0", "ms", "8.0",
    ]  # fmt: skip
    assert len(out.splitlines()) == 2, "ended sessions take nothing"
    api.paths["/apis/metrics.k8s.io/v1beta1/namespaces/lab/pods"] = {
        "items": [
            {
                "metadata": {"namespace": "lab", "name": "ball-x"},
                "containers": [{"usage": {"cpu": "125000000n", "memory": "262144Ki"}}],
            }
        ]
    }
    code, out, _ = invoke(api, "top", "-o", "json")
    (row,) = json.loads(out)
    assert row["cpuCores"] == 0.125
    assert row["memoryBytes"] == 256 * 2**20


@pytest.mark.parametrize(
    ("text", "value"), [("250m", 0.25), ("2", 2.0), ("1Ki", 1024.0), ("3k", 3000.0), ("?", 0.0)]
)
def test_quantities(text: str, value: float) -> None:
    assert quantity(text) == value
