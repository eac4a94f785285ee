import json
from pathlib import Path

import pytest

from kubectl.fake_api import FakeApi, completed, invoke, session_body
from podstream_kubectl import following
from podstream_kubectl.errors import ExitCode, Refused

SAMPLE = str(Path(__file__).parents[2] / "crds/samples/circle.yaml")


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "RETRY_S", 0.001)


def versioned(body: dict[str, object], version: int) -> dict[str, object]:
    metadata = body["metadata"]
    assert isinstance(metadata, dict)
    return {**body, "metadata": {**metadata, "resourceVersion": str(version)}}


def test_run_says_each_phase_and_ends_with_the_table() -> None:
    api = FakeApi()
    pod = {"name": "ball-x", "origin": "Warm"}
    api.news = [
        versioned(session_body(phase="Starting", pod=pod), 2),
        versioned(session_body(phase="Connected", pod=pod), 3),
        versioned(session_body(phase="Connected", pod=pod), 4),
        versioned(completed(), 5),
    ]
    code, out, err = invoke(api, "run", "-f", SAMPLE)
    assert code is ExitCode.OK
    assert [item["metadata"]["name"] for item in api.created] == ["ball"]
    steps = [line.partition("ball: ")[2] for line in err.splitlines() if "ball: " in line]
    assert steps == [
        "Pending",
        "Starting, pod ball-x warm",
        "Connected, pod ball-x warm",
        "Completed",
    ]
    lines = [line.split() for line in out.splitlines()]
    assert lines[0] == ["SESSION", "WORKLOAD", "FIGURE", "VALUE", "UNIT"]
    assert ["ball", "circle", "rmsePx", "0.1235", "px"] in lines
    assert ["ball", "circle", "latencyMs.p95", "8.25", "ms"] in lines
    assert api.deleted == []


def test_a_failed_session_makes_the_command_fail_and_says_why() -> None:
    api = FakeApi()
    api.news = [
        versioned(session_body(phase="Failed", reason="StartupTimeout", message="no node fits"), 2)
    ]
    code, _, err = invoke(api, "run", "-f", SAMPLE, "--delete")
    assert code is ExitCode.FAILED
    assert "Failed, StartupTimeout: no node fits" in err
    assert api.deleted == ["ball"]


def test_a_change_that_the_watch_has_missed_is_found_by_reading() -> None:
    api = FakeApi()
    reads = iter([session_body(phase="Starting"), completed()])

    class Forgetful(FakeApi):
        def get(self, *arguments: str, cluster_wide: bool = False) -> dict[str, object]:
            body = next(reads)
            return versioned(body, id(body))

    api = Forgetful()
    code, out, _ = invoke(api, "run", "-f", SAMPLE)
    assert code is ExitCode.OK
    assert "rmsePx" in out


def test_json_output_is_one_object() -> None:
    api = FakeApi()
    api.on_create = lambda body: body.update(status=completed()["status"])
    code, out, _ = invoke(api, "run", "-f", SAMPLE, "-o", "json", "--name", "other")
    assert code is ExitCode.OK
    found = json.loads(out)
    assert (found["name"], found["phase"]) == ("other", "Completed")
    assert found["results"]["circle"]["rmsePx"] == 0.123456


def test_the_timeout_leaves_the_session_and_has_a_code_of_its_own() -> None:
    api = FakeApi()
    code, _, err = invoke(api, "run", "-f", SAMPLE, "--timeout", "0.05")
    assert code is ExitCode.TIMEOUT
    assert "ball did not end within 0.05 s" in err
    assert api.deleted == []


def test_a_name_that_is_taken_says_what_to_do() -> None:
    api = FakeApi()
    taken = 'Error from server (AlreadyExists): streamsessions "ball" already exists'
    api.faults["create"] = [Refused(taken)]
    code, _, err = invoke(api, "run", "-f", SAMPLE)
    assert code is ExitCode.REFUSED
    assert "--name" in err


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        pytest.param("kind: Pod\napiVersion: v1\n", "kubectl apply", id="another kind"),
        pytest.param("", "holds no object", id="empty"),
        pytest.param("a: [", "is no YAML", id="no YAML"),
        pytest.param("- 1\n", "without a kind", id="a list"),
        pytest.param(
            "kind: StreamSession\napiVersion: podstream.dev/v1alpha1\nmetadata: {}\n",
            "no metadata.name",
            id="no name",
        ),
    ],
)
def test_files_that_make_no_sense_are_wrong_usage(
    text: str, complaint: str, tmp_path: Path
) -> None:
    file = tmp_path / "session.yaml"
    file.write_text(text)
    code, _, err = invoke(FakeApi(), "run", "-f", str(file))
    assert code is ExitCode.USAGE
    assert complaint in err


def test_watch_prints_a_line_a_change_and_json_a_line_an_object() -> None:
    pod = {"name": "ball-x"}
    for form in ("table", "json"):
        api = FakeApi(session_body(phase="Starting", pod=pod))
        api.news = [versioned(completed(), 2)]
        code, out, _ = invoke(api, "watch", "ball", "-o", form)
        assert code is ExitCode.OK
        if form == "json":
            phases = [json.loads(line)["status"]["phase"] for line in out.splitlines()]
            assert phases == ["Starting", "Completed"]
        else:
            assert [line.split()[2] for line in out.splitlines()] == [
                "PHASE",
                "Starting",
                "Completed",
            ]


def test_a_session_that_is_deleted_meanwhile_ends_the_wait() -> None:
    code, _, err = invoke(FakeApi(), "watch", "ball")
    assert code is ExitCode.REFUSED
    assert "not found" in err
