"""The edge: a program in kubectl's place that says what kubectl would."""

from pathlib import Path

import pytest

from podstream_kubectl.errors import Forbidden, NotFound, Refused, Unreachable
from podstream_kubectl.kubectl import Documents, Kubectl, Scope, problem_of


def stand_in(folder: Path, script: str) -> Kubectl:
    program = folder / "kubectl"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return Kubectl(Scope("lab", context="there"), program=str(program))


def test_scope_and_limits_are_passed_on(tmp_path: Path) -> None:
    api = stand_in(tmp_path, 'printf \'{"items": ["%s"]}\' "$*"')
    assert api.get("pods")["items"] == [
        "--context=there --namespace=lab --request-timeout=20s get pods -o=json"
    ]
    assert api.get("pods", cluster_wide=True)["items"] == [
        "--context=there --request-timeout=20s get pods -o=json"
    ]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('Error from server (NotFound): streamsessions "x" not found', NotFound),
        ('Error from server (Forbidden): secrets "x" is forbidden', Forbidden),
        ('error: the server doesn\'t have a resource type "strs"', NotFound),
        ("Unable to connect to the server: dial tcp: timeout", Unreachable),
        (
            "The connection to the server h:1 was refused - did you specify the right host",
            Unreachable,
        ),
        ('The StreamSession "x" is invalid: spec: too small', Refused),
    ],
)
def test_words_of_kubectl_become_exceptions(text: str, kind: type[Exception]) -> None:
    found = problem_of(f"Warning: old\n{text}")
    assert type(found) is kind
    assert str(found).startswith(text)


def test_no_kubectl_is_said() -> None:
    with pytest.raises(Unreachable, match="not on PATH"):
        Kubectl(Scope("lab"), program="/nowhere/kubectl").get("pods")


def test_a_watch_gives_objects_and_ends_with_the_server(tmp_path: Path) -> None:
    api = stand_in(tmp_path, 'printf \'{"n": 1}\\n{\\n  "n": 2\\n}\\n\'')
    found: list[int] = []
    with api.watch("streamsessions") as events:
        while len(found) < 2:
            found += [body["n"] for body in events.wait(timeout_s=10)]
        with pytest.raises(EOFError):
            events.wait(timeout_s=10)
    assert found == [1, 2]


def test_a_silent_watch_gives_nothing_after_the_time(tmp_path: Path) -> None:
    with stand_in(tmp_path, "exec sleep 60").watch("streamsessions") as events:
        assert events.wait(timeout_s=0.05) == []


def test_objects_are_put_together_from_any_pieces() -> None:
    text = '{"a": "ä{}"}\n{"b": 1}\n'.encode()
    reader = Documents()
    found = [body for index in range(len(text)) for body in reader.feed(text[index : index + 1])]
    assert found == [{"a": "ä{}"}, {"b": 1}]
