"""One session from apply to a measured result, with numbers that are checked."""

import json
from datetime import datetime

import pytest

from e2e import kube
from e2e.http import post_offer
from e2e.sessions import circle, names, session


def test_built_in_client_completes_with_a_measured_result() -> None:
    spec = {"circle": circle(frames=120), "client": {"builtIn": True}, "lingerSeconds": 0}
    with session(spec, prefix="whole") as made:
        made.wait_phase("Completed")
        status = made.status
        results = made.circle

        assert status["results"]["final"] is True
        assert results["framesScored"] == 120
        assert 0 < results["rmsePx"] < 2
        assert results["rmsePx"] <= results["rmseEuclideanPx"] <= 1.5 * results["rmsePx"]
        assert 20 < results["fps"] < 32
        assert results["codec"] == "H264"
        assert 0 < results["latencyMs"]["p50"] <= results["latencyMs"]["p99"] < 2000
        assert status["pod"]["origin"] == "Cold"
        assert status["pod"]["restarts"] == 0
        steps = [
            datetime.fromisoformat(status["timeline"][step])
            for step in (
                "appliedAt",
                "assignedAt",
                "readyAt",
                "connectedAt",
                "firstFrameAt",
                "completedAt",
            )
        ]
        assert steps == sorted(steps)
        assert {made.condition(kind)["status"] for kind in ("Completed",)} == {"True"}
        assert made.condition("Ready")["reason"] == "Completed"
        assert status["observedGeneration"] == made.body["metadata"]["generation"]


def test_kubectl_wait_works_on_conditions() -> None:
    with session({"circle": circle(frames=0)}, prefix="wait") as made:
        kube.kubectl("wait", f"strs/{made.name}", "--for=condition=Ready", "--timeout=60s")
        row = kube.kubectl("get", "strs", made.name)
        assert "Ready" in row
        assert made.name in row


def test_known_offset_is_scored_with_exactly_that_offset() -> None:
    """A client that shifts every estimate by (3, 4) px must be scored 3.54 and 5.00."""
    with session({"circle": circle(frames=90), "lingerSeconds": 0}, prefix="offset") as made:
        made.wait_phase("Ready")
        played = made.play("--offset", "3,4")
        assert played.returncode == 0, played.stderr
        made.wait_phase("Completed")
        assert made.circle["rmsePx"] == pytest.approx(3.54, abs=0.5)
        assert made.circle["rmseEuclideanPx"] == pytest.approx(5.0, abs=0.5)


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["--join-late", "2"], id="late joiner"),
        pytest.param(["--drop-first", "10"], id="first ten frames lost"),
    ],
)
def test_frames_are_matched_however_the_client_starts(arguments: list[str]) -> None:
    with session({"circle": circle(frames=60), "lingerSeconds": 0}, prefix="late") as made:
        made.wait_phase("Ready")
        played = made.play(*arguments)
        assert played.returncode == 0, played.stderr
        made.wait_phase("Completed")
        assert made.circle["rmsePx"] < 2
        assert made.circle["framesUnmatched"] == 0


def test_deleting_a_session_leaves_no_pod_secret_or_route() -> None:
    with session({"circle": circle(frames=0)}, prefix="gone") as made:
        made.wait_phase("Ready")
        endpoint = made.endpoint()
        token = made.token()
        secret = made.status["access"]["secretName"]
        assert len(made.pods()) == 1
        kube.delete("strs", made.name)
        kube.until(lambda: not made.pods(), what="pod removed", timeout_s=30)
        kube.until(lambda: kube.get("secret", secret) is None, what="Secret removed", timeout_s=30)
        kube.until(
            lambda: post_offer(endpoint, token=token).status == 404,
            what="route removed",
            timeout_s=20,
        )


def test_finished_session_is_deleted_after_its_ttl() -> None:
    spec = {
        "circle": circle(frames=30),
        "client": {"builtIn": True},
        "ttlSecondsAfterFinished": 3,
        "lingerSeconds": 0,
    }
    with session(spec, prefix="ttl") as made:
        kube.until(lambda: kube.get("strs", made.name) is None, what="TTL deletion", timeout_s=90)
        kube.until(
            lambda: not made.pods() and not made.pods("client"), what="pods gone", timeout_s=30
        )


def test_describe_and_events_tell_the_story() -> None:
    spec = {"circle": circle(frames=30), "client": {"builtIn": True}, "lingerSeconds": 0}
    with session(spec, prefix="story") as made:
        made.wait_phase("Completed")
        kube.until(
            lambda: "Completed" in kube.kubectl("describe", "strs", made.name),
            what="events in describe",
            timeout_s=20,
        )


def test_two_sessions_at_once_have_their_own_pods_and_results() -> None:
    spec = {"circle": circle(frames=60), "client": {"builtIn": True}, "lingerSeconds": 60}
    with session(spec, prefix="two") as first, session(spec, prefix="two") as second:
        first.wait_phase("Completed", timeout_s=120)
        second.wait_phase("Completed", timeout_s=120)
        assert names(first.pods()) != names(second.pods())
        assert json.dumps(first.circle) != json.dumps(second.circle)
        assert max(first.circle["rmsePx"], second.circle["rmsePx"]) < 2
