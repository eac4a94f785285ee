"""The command line explains itself; errors name the cause and the fix."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from testcluster import cli
from testcluster.command import run, wait_until, write_if_changed
from testcluster.environment import export_lines
from testcluster.errors import ClusterError
from testcluster.instance import Instance
from testcluster.lifecycle import ready_names
from testcluster.packages import PROOFS, missing_packages

ROOT = Path(__file__).resolve().parents[1]


def test_help_names_every_command() -> None:
    text = cli.build_parser().format_help()
    for command in ("build", "up", "down", "status", "env", "load", "node", "logs", "image"):
        assert f"\n    {command} " in text


def test_errors_name_cause_and_fix(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PODSTREAM_CLUSTER", "no such name")
    assert cli.main(["env"]) == 1
    cause, fix = capsys.readouterr().err.splitlines()
    assert cause.startswith("error: PODSTREAM_CLUSTER is 'no such name'")
    assert fix.startswith("fix:   ")


def test_package_needs_no_third_party_module() -> None:
    code = "import testcluster.cli, testcluster.driver, testcluster.audit"
    environment = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}
    # -S leaves out site-packages: what is missing there is missing on a bare machine.
    argv = [sys.executable, "-S", "-c", code]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_only_missing_packages_are_installed() -> None:
    assert missing_packages(lambda _: True) == []
    assert missing_packages(lambda proof: proof != "runc") == ["runc"]
    assert missing_packages(lambda _: False) == sorted(PROOFS)


def test_environment_puts_the_built_programs_first() -> None:
    instance = Instance(letter="a", cache=Path("/my cache"))
    lines = export_lines(instance, binaries=Path("/my cache/bin/key"))
    script = "\n".join([*lines, 'printf "%s\\n" "$KUBECONFIG" "${PATH%%:*}"'])
    done = run(["bash", "-c", script])
    assert done.stdout.splitlines() == [
        "/my cache/cluster/conf/admin.kubeconfig",
        "/my cache/bin/key",
    ]


def test_file_is_written_only_when_its_content_changes(tmp_path: Path) -> None:
    path = tmp_path / "conf" / "file"
    assert write_if_changed(path, "one", mode=0o600)
    assert path.stat().st_mode & 0o777 == 0o600
    first = path.stat().st_ino
    assert not write_if_changed(path, "one")
    assert path.stat().st_ino == first
    assert write_if_changed(path, "two")
    assert path.read_text() == "two"


def test_failed_program_is_reported_with_its_last_words() -> None:
    with pytest.raises(ClusterError, match="broken pipe dream") as caught:
        run(["sh", "-c", "echo broken pipe dream >&2; exit 3"], fix="mend it")
    assert caught.value.fix == "mend it"


def test_missing_program_is_named() -> None:
    with pytest.raises(ClusterError, match="no-such-program is not installed"):
        run(["no-such-program"])


def test_cordoned_node_is_ready_and_a_lost_one_is_not() -> None:
    listing = """\
node-1   Ready                         <none>   1m   v1.36.4
node-2   Ready,SchedulingDisabled      <none>   1m   v1.36.4
node-3   NotReady                      <none>   1m   v1.36.4
"""
    assert ready_names(listing) == {"node-1", "node-2"}
    assert ready_names("") == set()


def test_waiting_in_vain_says_for_what() -> None:
    with pytest.raises(ClusterError, match="for: the moon"):
        wait_until(lambda: False, what="the moon", timeout_s=0.01, interval_s=0.001)
