import shutil
import subprocess
from pathlib import Path

import pytest

from podstream_kubectl.arguments import SHELLS
from podstream_kubectl.completion import SCRIPTS, answer


def words(*given: str) -> tuple[list[str], str]:
    *lines, directive = answer(list(given), names=["ball", "cube"]).splitlines()
    return [line.partition("\t")[0] for line in lines], directive


@pytest.mark.parametrize(
    ("given", "found"),
    [
        pytest.param(["re"], ["results", "record"], id="commands"),
        pytest.param(["results", ""], ["ball", "cube"], id="sessions"),
        pytest.param(["results", "ball", "cu"], ["cube"], id="second session"),
        pytest.param(["record", "st"], ["start", "stop"], id="inner commands"),
        pytest.param(["record", "start", "b"], ["ball"], id="sessions of an inner command"),
        pytest.param(["results", "-o", ""], ["table", "json", "csv"], id="values"),
        pytest.param(["run", "--de"], ["--delete"], id="options"),
        pytest.param(["-n", "lab", "logs", "b"], ["ball"], id="option before the command"),
        pytest.param(["logs", "-n", "lab", "b"], ["ball"], id="value of an option is skipped"),
        pytest.param(["logs", "ball", ""], [], id="one name is enough"),
        pytest.param(["completion", "z"], ["zsh"], id="shells"),
    ],
)
def test_candidates(given: list[str], found: list[str]) -> None:
    assert words(*given) == (found, ":4")


def test_files_are_left_to_the_shell() -> None:
    assert words("run", "-f", "") == ([], ":0")
    assert words("logs", "ball", "--collect", "x") == ([], ":0")


@pytest.mark.parametrize("shell", SHELLS)
def test_scripts_are_read_by_their_shell(shell: str, tmp_path: Path) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed here")
    script = tmp_path / "completion"
    script.write_text(SCRIPTS[shell])
    done = subprocess.run(
        [program, "-n", str(script)], capture_output=True, text=True, check=False, timeout=30
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_bash_completes_with_the_script(tmp_path: Path) -> None:
    """The whole way: the script asks the executable and takes its candidates."""
    program = tmp_path / "kubectl_complete-podstream"
    program.write_text('#!/bin/sh\nprintf "results\\tprint\\n%s\\n:4\\n" "$2"\n')
    program.chmod(0o755)
    script = SCRIPTS["bash"] + (
        "COMP_WORDS=(kubectl-podstream results ba); COMP_CWORD=2\n"
        '_kubectl_podstream; printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    done = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
    )
    assert done.stdout.split() == ["results", "ba"]
