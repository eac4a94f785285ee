"""The chart's own test, and what an installation shows to a newcomer."""

import subprocess

from e2e import kube


def test_helm_test_runs_a_session() -> None:
    done = subprocess.run(
        ["helm", "test", "podstream", "-n", kube.NAMESPACE, "--logs", "--timeout", "180s"],
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "OK: RMSE" in done.stdout


def test_explain_reads_like_a_manual() -> None:
    text = kube.kubectl("explain", "streamsession.spec.circle.frames")
    assert "scored" in text
    assert "session" in text


def test_operator_and_router_report_health_and_metrics() -> None:
    for deployment, port in (("podstream-operator", 8081), ("podstream-router", 8082)):
        look = (
            "import urllib.request as r;"
            f"print(r.urlopen('http://127.0.0.1:{port}/readyz').status);"
            f"print(r.urlopen('http://127.0.0.1:{port}/metrics').read().decode())"
        )
        seen = kube.kubectl("exec", f"deploy/{deployment}", "--", "python", "-c", look)
        assert seen.startswith("200")
        assert "# HELP podstream_" in seen
