"""What happens to a running session when a part of podstream dies."""

import os
import re
import signal

import pytest

from e2e import kube
from e2e.processes import processes_of_pod
from e2e.sessions import Session, circle, names, session


def _kill_operator() -> str:
    (pod,) = kube.items("pods", selector="app.kubernetes.io/component=operator")
    name: str = pod["metadata"]["name"]
    kube.kubectl("delete", "pod", name, "--grace-period=0", "--force")
    return name


def _kill_session_pod(made: Session) -> str:
    (name,) = names(made.pods())
    kube.kubectl("delete", "pod", name, "--grace-period=0", "--force")
    return name


def test_stream_survives_the_operator_and_its_result_arrives() -> None:
    with session({"circle": circle(frames=300), "lingerSeconds": 60}, prefix="opkill") as made:
        made.wait_phase("Ready")
        with made.playing() as client:
            made.wait_phase("Connected")
            _kill_operator()
            out, err = client.communicate(timeout=90)
            assert client.returncode == 0, f"the stream was cut: {out}{err}"
        made.wait_phase("Completed", timeout_s=90)
        assert made.circle["framesScored"] == 300
        assert made.circle["rmsePx"] < 2
        assert made.status["results"]["final"] is True


def test_delete_while_the_operator_is_down_finishes() -> None:
    with session({"circle": circle(frames=0)}, prefix="opdown") as made:
        made.wait_phase("Ready")
        kube.kubectl("scale", "deploy/podstream-operator", "--replicas=0")
        try:
            kube.until(
                lambda: not kube.items("pods", selector="app.kubernetes.io/component=operator"),
                what="operator gone",
            )
            kube.delete("strs", made.name)
            kube.until(lambda: not made.pods(), what="pod removed", timeout_s=40)
        finally:
            kube.kubectl("scale", "deploy/podstream-operator", "--replicas=1")
            kube.kubectl("rollout", "status", "deploy/podstream-operator", "--timeout=60s")


def test_killed_pod_fails_the_session_with_a_reason_and_keeps_live_results() -> None:
    spec = {"circle": circle(frames=0), "resultsIntervalSeconds": 1}
    with session(spec, prefix="podkill") as made:
        made.wait_phase("Ready")
        with made.playing("--duration", "60"):
            kube.until(
                lambda: made.circle.get("framesScored", 0) > 10, what="live results", timeout_s=40
            )
            _kill_session_pod(made)
            made.wait_phase("Failed")
        status = made.status
        assert status["reason"] == "PodLost"
        assert status["message"]
        assert made.circle["framesScored"] > 10
        assert made.condition("Ready")["status"] == "False"


def test_sigkilled_agent_leaves_its_last_results_marked_not_final() -> None:
    """The termination record on the node is all that is left: live polling is switched off."""
    spec = {"circle": circle(frames=0), "resultsIntervalSeconds": 0}
    with session(spec, prefix="sigkill") as made:
        made.wait_phase("Ready")
        with made.playing("--duration", "60"):
            made.wait_phase("Connected")
            _wait_for_frames(made)
            processes = processes_of_pod(made.pods()[0]["metadata"]["uid"])
            if not processes:
                pytest.skip("the pod's processes are not visible from this machine")
            os.kill(processes[0], signal.SIGKILL)
            made.wait_phase("Failed", timeout_s=60)
        assert made.status["reason"] == "PodLost"
        assert made.circle["framesScored"] > 0
        assert made.status["results"]["final"] is False


_KILL_CHILDREN = """
import os, signal
for pid in map(int, filter(str.isdigit, os.listdir('/proc'))):
    if pid not in (1, os.getpid()):
        os.kill(pid, signal.SIGKILL)
"""


def _wait_for_frames(made: Session) -> None:
    """Two seconds' worth of scored frames: the record on the node is renewed once a second."""
    (pod,) = names(made.pods())
    probe = (
        "import urllib.request;"
        "print(urllib.request.urlopen('http://127.0.0.1:9440/metrics').read().decode())"
    )

    def scored() -> float:
        text = kube.kubectl("exec", pod, "--", "python", "-c", probe)
        found = re.search(r'"framesScored".*\} ([\d.]+)', text)
        return float(found.group(1)) if found else 0.0

    kube.until(lambda: scored() >= 60, what="scored frames in the agent's metrics")


@pytest.mark.parametrize("kills", [1, 2])
def test_on_pod_loss_policy_gives_exactly_one_replacement(kills: int) -> None:
    spec = {"circle": circle(frames=0), "restartPolicy": "OnPodLoss"}
    with session(spec, prefix="replace") as made:
        made.wait_phase("Ready")
        first = _kill_session_pod(made)
        kube.until(
            lambda: names(made.pods()) not in ([], [first]) and made.phase == "Ready",
            what="a replacement pod that is ready",
        )
        assert made.status["pod"]["restarts"] == 1
        if kills == 2:
            _kill_session_pod(made)
            made.wait_phase("Failed")
            assert made.status["reason"] == "PodLost"


def test_killed_workload_process_is_named_in_the_status() -> None:
    with session({"circle": circle(frames=0)}, prefix="crash") as made:
        made.wait_phase("Ready")
        (pod,) = names(made.pods())
        kube.kubectl("exec", pod, "--", "python", "-c", _KILL_CHILDREN)
        made.wait_phase("Failed")
        assert made.status["reason"] == "WorkloadCrashed"
        assert "SIGKILL" in made.status["message"]


def test_startup_timeout_names_the_cause() -> None:
    spec = {
        "circle": circle(),
        "startupTimeoutSeconds": 8,
        "pod": {"nodeSelector": {"no-such": "node"}},
    }
    with session(spec, prefix="nostart") as made:
        made.wait_phase("Failed", timeout_s=40)
        assert made.status["reason"] == "StartupTimeout"
        assert "nod" in made.status["message"].lower()


def test_idle_session_ends_with_its_reason() -> None:
    spec = {"circle": circle(frames=0), "idleTimeoutSeconds": 3}
    with session(spec, prefix="idle") as made:
        made.wait_phase("Failed", timeout_s=60)
        assert made.status["reason"] == "IdleTimeout"
        kube.until(lambda: not made.pods(), what="pod removed", timeout_s=30)


def test_deadline_ends_a_session_that_plays() -> None:
    spec = {"circle": circle(frames=0), "activeDeadlineSeconds": 12}
    with session(spec, prefix="deadline") as made:
        made.wait_phase("Ready")
        with made.playing("--duration", "60"):
            made.wait_phase("Failed", timeout_s=60)
        assert made.status["reason"] == "DeadlineExceeded"
        assert made.circle["framesScored"] > 0
        assert made.status["results"]["final"] is True


def test_hand_edited_status_is_repaired() -> None:
    with session({"circle": circle(frames=0)}, prefix="edit") as made:
        made.wait_phase("Ready")
        kube.kubectl(
            "patch", "strs", made.name, "--subresource=status", "--type=merge",
            "-p", '{"status":{"phase":"Completed"}}',
        )  # fmt: skip
        kube.until(lambda: made.phase == "Ready", what="phase repaired", timeout_s=30)


@pytest.mark.long
def test_deleted_secret_is_made_again() -> None:
    """Secrets are not watched (the operator may not list them): a GET a minute finds it."""
    with session({"circle": circle(frames=0)}, prefix="secret") as made:
        made.wait_phase("Ready")
        name = made.status["access"]["secretName"]
        kube.delete("secret", name)
        kube.until(lambda: kube.get("secret", name), what="Secret made again", timeout_s=150)
