import textwrap
from pathlib import Path
from typing import Any

import pytest

from podstream_core.api import AccessMode
from podstream_workloads.local.spec_file import SpecError, parse_pool, parse_session, read_session

SAMPLES = sorted((Path(__file__).parents[2] / "crds" / "samples").glob("*.yaml"))


def manifest(spec: Any, **changes: Any) -> dict[str, Any]:
    return {
        "apiVersion": "podstream.dev/v1alpha1",
        "kind": "StreamSession",
        "metadata": {"name": "ball"},
        "spec": spec,
        **changes,
    }


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_samples_are_accepted(path: Path) -> None:
    session = read_session(path)
    assert session.metadata.namespace == "default"
    assert session.spec.workloads


@pytest.mark.parametrize(
    ("spec", "lines"),
    [
        pytest.param(
            {"circle": {"widht": 640}},
            ["spec.circle.widht: unknown field; did you mean width?"],
            id="misspelt",
        ),
        pytest.param(
            {"circle": {"ball": {"radios": 3}}, "clients": {}},
            [
                "spec.circle.ball.radios: unknown field; did you mean radius?",
                "spec.clients: unknown field; did you mean client?",
            ],
            id="all-unknown-fields-at-once",
        ),
        pytest.param(
            {"circle": {"fps": 500}},
            ["spec.circle.fps: Expected `int` <= 120"],
            id="too-large",
        ),
        pytest.param(
            {"circle": {"ball": {"color": "green"}}},
            [r"spec.circle.ball.color: Expected `str` matching regex '^#[0-9a-fA-F]{6}$'"],
            id="pattern",
        ),
        pytest.param(
            {"circle": {"width": "wide"}},
            ["spec.circle.width: Expected `int`, got `str`"],
            id="wrong-type",
        ),
        pytest.param(
            {},
            [
                "spec: names no workload: set spec.circle or spec.imageOps "
                '("circle: {}" takes every default)'
            ],
            id="no-workload",
        ),
        pytest.param(
            {"circle": {}, "listeners": ["signalling"]},
            ["spec.listeners: needs spec.access.mode Public, their clients send no token"],
            id="listener-with-token",
        ),
        pytest.param(
            {"circle": {"height": 64, "ball": {"radius": 32}}},
            ["spec.circle.ball.radius: the ball does not fit into the picture"],
            id="ball-too-large",
        ),
    ],
)
def test_what_is_wrong_is_named(spec: Any, lines: list[str]) -> None:
    with pytest.raises(SpecError) as caught:
        parse_session(manifest(spec))
    assert str(caught.value).splitlines() == lines


@pytest.mark.parametrize(
    ("body", "named"),
    [
        pytest.param(manifest({"circle": {}}, apiVersion="v1"), "apiVersion", id="version"),
        pytest.param(manifest({"circle": {}}, metadata={}), "metadata.name", id="no-name"),
        pytest.param(manifest({"circle": {}}, metadata={"name": "a.b"}), "metadata.name", id="dot"),
        pytest.param(manifest({"circle": {}}, more=1), "more: unknown field", id="top-level"),
        pytest.param(manifest(None), "spec", id="no-spec"),
    ],
)
def test_manifest_around_the_spec_is_checked(body: dict[str, Any], named: str) -> None:
    with pytest.raises(SpecError, match=named):
        parse_session(body)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        pytest.param("a: [", "no YAML", id="broken"),
        pytest.param("kind: Pod", "no document of kind StreamSession", id="other-kind"),
        pytest.param("", "no document of kind StreamSession or StreamPool", id="empty"),
        pytest.param("kind: StreamSession\n---\nkind: StreamSession", "holds 2", id="two"),
        pytest.param("kind: StreamPool\n---\nkind: StreamPool", "holds 2", id="two-pools"),
    ],
)
def test_file_without_exactly_one_session_is_refused(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "session.yaml"
    path.write_text(text)
    with pytest.raises(SpecError, match=named):
        read_session(path)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="cannot be read"):
        read_session(tmp_path / "nothing.yaml")


def test_other_documents_of_the_file_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "session.yaml"
    path.write_text(
        textwrap.dedent("""\
            kind: ConfigMap
            ---
            apiVersion: podstream.dev/v1alpha1
            kind: StreamSession
            metadata: {name: ball, namespace: games}
            spec: {circle: {}, access: {mode: Public}}
            """)
    )
    session = read_session(path)
    assert str(session.key) == "games/ball"
    assert session.spec.access.mode is AccessMode.PUBLIC


def test_pool_gives_a_session_of_its_template() -> None:
    template = {"spec": {"circle": {"width": 320}, "access": {"mode": "Public"}}}
    spec = {"warm": 2, "listeners": ["signalling"], "template": template}
    session = parse_pool(manifest(spec, kind="StreamPool"))
    assert session.metadata.name == "ball"
    assert session.spec.circle is not None
    assert session.spec.circle.width == 320
    assert session.spec.access.mode is AccessMode.PUBLIC
    assert session.spec.listeners == ["signalling"]


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        pytest.param({"wram": 1, "template": {"spec": {}}}, "spec.wram: .* warm", id="unknown"),
        pytest.param({"warm": 1}, "template", id="no-template"),
        pytest.param(None, "spec: is needed", id="no-spec"),
        pytest.param(
            {"template": {"spec": {"circle": {}, "circel": {}}}},
            "spec.template.spec.circel: .*did you mean circle",
            id="in-template",
        ),
        pytest.param({"template": {"spec": {}}}, "names no workload", id="no-workload"),
    ],
)
def test_unacceptable_pool_is_refused(spec: Any, named: str) -> None:
    with pytest.raises(SpecError, match=named):
        parse_pool(manifest(spec, kind="StreamPool"))
