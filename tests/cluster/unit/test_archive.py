"""Image archives hold what containerd, buildah and docker expect."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from testcluster.archive import ImageConfig, image_names, write_image, write_layer
from testcluster.errors import ClusterError

TAG = "registry.example/team/app:1"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    program, layer = tmp_path / "program", tmp_path / "layer"
    program.write_bytes(b"\x7fELF")
    write_layer(layer, {"/bin/app": program})
    config = ImageConfig(entrypoint=["/bin/app"], user="65532:65532", environment={"A": "b"})
    write_image(tmp_path / "image.tar", layer=layer, tag=TAG, config=config)
    return tmp_path / "image.tar"


def members(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as file:
        return {entry.name: _content(file, entry) for entry in file}


def _content(file: tarfile.TarFile, entry: tarfile.TarInfo) -> bytes:
    content = file.extractfile(entry)
    assert content is not None
    return content.read()


def test_manifest_names_config_layer_and_tag(archive: Path) -> None:
    files = members(archive)
    (manifest,) = json.loads(files["manifest.json"])
    assert manifest["RepoTags"] == [TAG]
    assert set(files) == {"manifest.json", manifest["Config"], *manifest["Layers"]}


def test_config_carries_the_layers_digest_and_what_runs(archive: Path) -> None:
    files = members(archive)
    (manifest,) = json.loads(files["manifest.json"])
    config = json.loads(files[manifest["Config"]])
    digest = hashlib.sha256(files[manifest["Layers"][0]]).hexdigest()
    assert config["rootfs"] == {"type": "layers", "diff_ids": [f"sha256:{digest}"]}
    assert config["config"] == {
        "Entrypoint": ["/bin/app"],
        "User": "65532:65532",
        "Env": ["A=b"],
    }
    assert manifest["Config"] == f"{hashlib.sha256(files[manifest['Config']]).hexdigest()}.json"


def test_layer_holds_the_program_executable(archive: Path) -> None:
    files = members(archive)
    (manifest,) = json.loads(files["manifest.json"])
    with tarfile.open(fileobj=io.BytesIO(files[manifest["Layers"][0]])) as layer:
        entry = layer.getmember("bin/app")
        assert entry.mode == 0o755
        assert _content(layer, entry) == b"\x7fELF"


def test_equal_content_gives_an_equal_image(tmp_path: Path) -> None:
    layer = tmp_path / "layer"
    write_layer(layer, {})
    first = write_image(tmp_path / "1", layer=layer, tag=TAG, config=ImageConfig())
    second = write_image(tmp_path / "2", layer=layer, tag=TAG, config=ImageConfig())
    assert first == second
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


def test_names_are_read_back(archive: Path) -> None:
    assert image_names(archive) == [TAG]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(None, id="missing"),
        pytest.param(b"", id="empty"),
        pytest.param(b"no tar at all" * 100, id="another-format"),
    ],
)
def test_other_files_are_refused_with_a_fix(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "file.tar"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ClusterError) as caught:
        image_names(path)
    assert str(path) in caught.value.cause
    assert caught.value.fix
