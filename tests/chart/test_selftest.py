"""`helm test` passes for a session that was scored, and says why for any other."""

from typing import Any

import jsonschema
import pytest

from chart.helm import pods, render
from contracts.crds import closed, session_schema
from podstream_core.api import StreamSession
from podstream_operator import selftest
from podstream_operator.selftest import Options, Sessions, build_session, find_problem, run

OPTIONS = Options(namespace="streams", name="podstream-selftest-0", timeout_s=60)
GOOD: dict[str, Any] = {"framesScored": 90, "rmsePx": 0.0123, "fps": 30.0, "codec": "H264"}


def ended(phase: str, *, final: bool = True, **circle: Any) -> dict[str, Any]:
    return {
        "phase": phase,
        "pod": {"name": "pod-1"},
        "reason": "WorkloadCrashed",
        "message": "signal 11",
        "results": {"final": final, "circle": circle},
    }


def session(status: dict[str, Any]) -> StreamSession:
    metadata = {"name": OPTIONS.name, "namespace": OPTIONS.namespace, "uid": "0"}
    return StreamSession.from_body(
        {"metadata": metadata, "spec": build_session(OPTIONS)["spec"], "status": status}
    )


class Scripted(Sessions):
    """Answers each read with the next status; the last one stays."""

    def __init__(self, *statuses: dict[str, Any]) -> None:
        self.statuses = list(statuses)
        self.created: list[dict[str, Any]] = []
        self.deleted: list[str] = []

    async def create(self, body: dict[str, Any]) -> None:
        self.created.append(body)

    async def read(self, name: str) -> StreamSession:
        assert name == OPTIONS.name
        return session(self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0])

    async def delete(self, name: str) -> None:
        self.deleted.append(name)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selftest, "POLL_S", 0.001)


def test_its_session_is_valid() -> None:
    spec = build_session(OPTIONS)["spec"]
    jsonschema.Draft202012Validator(closed(session_schema()["properties"]["spec"])).validate(spec)


async def test_scored_session_passes_and_is_removed(capsys: pytest.CaptureFixture[str]) -> None:
    sessions = Scripted({}, {"phase": "Starting"}, ended("Completed", **GOOD))
    assert await run(sessions, options=OPTIONS) == 0
    assert sessions.created == [build_session(OPTIONS)]
    assert sessions.deleted == [OPTIONS.name]
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == [
        "session streams/podstream-selftest-0 applied",
        "not seen by the operator yet, no pod yet",
        "Starting, no pod yet",
        "Completed, pod-1",
    ]
    assert lines[4].startswith("OK: RMSE 0.0123 px over 90 frames, 30.0 fps, H264, ")


async def test_failed_session_stays_for_whoever_looks_into_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    sessions = Scripted(ended("Failed"))
    assert await run(sessions, options=OPTIONS) == 1
    assert sessions.deleted == []
    assert "FAILED: the session failed: WorkloadCrashed: signal 11" in capsys.readouterr().out


async def test_session_that_never_ends_fails_in_time(capsys: pytest.CaptureFixture[str]) -> None:
    options = Options(namespace="streams", name=OPTIONS.name, timeout_s=0)
    assert await run(Scripted({"phase": "Pending"}), options=options) == 1
    assert "kubectl -n streams describe streamsession" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        pytest.param(ended("Completed", **GOOD), None, id="good"),
        pytest.param(
            ended("Completed", **GOOD | {"framesScored": 89}),
            "only 89 of 90 frames were scored",
            id="too-few-frames",
        ),
        pytest.param(
            ended("Completed", final=False, **GOOD),
            "the session completed without final results",
            id="not-final",
        ),
        pytest.param(
            {"phase": "Completed"}, "the session completed without final results", id="no-results"
        ),
    ],
)
def test_problem(status: dict[str, Any], problem: str | None) -> None:
    assert find_problem(session(status)) == problem


def test_each_run_has_a_name_of_its_own() -> None:
    arguments = ["--namespace=a", "--name=podstream-selftest"]
    first, second = (selftest.parse_options(arguments) for _ in range(2))
    assert first.name != second.name


def test_name_of_the_longest_release_is_accepted() -> None:
    setting = f'fullnameOverride="{"a" * 40}"'
    (container,) = pods(render("default", setting))["a" * 40 + "-test"]["containers"]
    assert container["command"] == ["python", "-m", "podstream_operator.selftest"]
    options = selftest.parse_options(container["args"])
    assert len(options.name) == 45, "the API allows no more"
    assert options.timeout_s == 180
