import pytest

from podstream_dev.images import IMAGES, source_files, version
from podstream_dev.platforms import Embedded, choose, parse_exports
from podstream_dev.shell import ROOT, DevError


def test_export_lines_are_read_as_a_shell_would(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/bin")
    text = "# hint\nexport A='x y'\nexport PATH=/k8s/bin:\"$PATH\"\necho no\n"
    assert parse_exports(text) == {"A": "x y", "PATH": "/k8s/bin:/bin"}


def test_unknown_cluster_is_refused_with_the_choices() -> None:
    with pytest.raises(DevError, match="auto, embedded, kind, current"):
        choose("minikube")


def test_second_embedded_cluster_is_told_its_own_address() -> None:
    settings = Embedded().settings({"PODSTREAM_NODE_IP": "10.90.0.2"})
    assert settings["externalUrl"] == "http://10.90.0.2:30080"
    assert settings["router.media.advertise[0]"] == "10.90.0.2:30478"


def test_kind_without_kind_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(DevError, match="kind is not on PATH"):
        choose("kind")
    assert choose("auto").name == "embedded"


def test_every_image_has_its_dockerfile_and_the_projects_version() -> None:
    for image in IMAGES:
        assert (ROOT / image.dockerfile).is_file()
        assert image.tag == f"docker.io/podstream/{image.name}:{version()}"


def test_image_sources_are_the_sources_alone() -> None:
    files = {str(file.relative_to(ROOT)) for file in source_files()}
    assert "workloads/podstream_core/tokens.py" in files
    assert not [name for name in files if name.endswith(".pyc") or "tests/" in name]
