import argparse
from pathlib import Path
from typing import Any

import pytest

from podstream_core.api import SessionSpec
from podstream_workloads.local.mounts import lay_out, parse_mount
from podstream_workloads.local.spec_file import SpecError

INPUT = {"configMap": "photos"}
CLAIM = {"claimName": "results", "path": "small"}


def batch(**batch: Any) -> SessionSpec:
    return SessionSpec.from_body({"imageOps": {"batch": {"input": INPUT, **batch}}})


def recording() -> SessionSpec:
    return SessionSpec.from_body({"stream": {"recording": {"volume": {"claimName": "films"}}}})


def test_volumes_lie_where_a_pod_has_them(tmp_path: Path) -> None:
    photos, results, root = (tmp_path / name for name in ("photos", "results", "root"))
    for folder in (photos, results, root):
        folder.mkdir()
    lay_out(batch(output=CLAIM), mounts={"photos": photos, "results": results}, folder=root)
    assert (root / "batch/input").resolve() == photos
    assert (root / "batch/output").resolve() == results


def test_recordings_go_to_their_claims_folder(tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    lay_out(recording(), mounts={"films": tmp_path / "films"}, folder=tmp_path)
    assert (tmp_path / "recordings").resolve() == tmp_path / "films"


def test_the_film_of_a_source_lies_on_its_claim(tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    file = {"claimName": "films", "path": "a.mp4"}
    spec = SessionSpec.from_body({"stream": {"source": {"type": "File", "file": file}}})
    lay_out(spec, mounts={"films": tmp_path / "films"}, folder=tmp_path)
    assert (tmp_path / "source").resolve() == tmp_path / "films"


def test_one_key_of_a_secret_has_its_file_s_name(tmp_path: Path) -> None:
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "dsn").write_text("postgresql://h/d")
    reference = {"urlSecretRef": {"name": "db", "key": "dsn"}}
    timelines = {"store": "PostgreSQL", "postgresql": reference}
    spec = SessionSpec.from_body({"tracking": {"orchestrator": {"timelines": timelines}}})
    lay_out(spec, mounts={"db": tmp_path / "db"}, folder=tmp_path)
    assert (tmp_path / "tracking/database/url").read_text() == "postgresql://h/d"


def test_volumes_of_a_camera_and_a_cloud_lie_where_a_pod_has_them(tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    file = {"claimName": "films", "path": "a.mp4"}
    camera = {
        "id": "gate",
        "siteRef": {"name": "yard"},
        "source": {"type": "File", "file": file},
        "truth": file,
        "detector": {"method": "Onnx", "model": file},
    }
    aws = {"credentialsSecretRef": {"name": "films"}, "faces": {"claimName": "films"}}
    cloud = {"method": "Rekognition", "rekognition": aws}
    for tracking in ({"camera": camera}, {"recognition": cloud}):
        spec = SessionSpec.from_body({"tracking": tracking})
        lay_out(spec, mounts={"films": tmp_path / "films"}, folder=tmp_path)
    for name in ("source", "truth", "model", "credentials", "faces"):
        assert (tmp_path / "tracking" / name).resolve() == tmp_path / "films"


@pytest.mark.parametrize(
    ("spec", "mounts", "lines"),
    [
        pytest.param(
            batch(output=CLAIM),
            {},
            [
                "spec.imageOps.batch.input.configMap: photos .* --mount photos=DIR",
                "spec.imageOps.batch.output.claimName: results .* --mount results=DIR",
            ],
            id="missing",
        ),
        pytest.param(
            recording(),
            {},
            ["spec.stream.recording.volume.claimName: films .* --mount films=DIR"],
            id="recording",
        ),
        pytest.param(
            SessionSpec.from_body({"circle": {}}),
            {"photos": Path("/")},
            ["--mount photos: no volume of the session; it has none"],
            id="unknown",
        ),
        pytest.param(
            batch(),
            {"photos": Path("/no/such/folder")},
            ["--mount photos=/no/such/folder: there is no such folder"],
            id="no-folder",
        ),
    ],
)
def test_what_is_wrong_is_named(
    spec: SessionSpec, mounts: dict[str, Path], lines: list[str], tmp_path: Path
) -> None:
    with pytest.raises(SpecError, match="\n".join(lines)):
        lay_out(spec, mounts=mounts, folder=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["photos", "photos=", "=here", ""])
def test_mount_needs_name_and_folder(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="NAME=DIR"):
        parse_mount(text)
