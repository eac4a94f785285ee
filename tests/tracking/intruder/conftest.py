"""A gallery of rendered people, trained once for all tests."""

import os
from pathlib import Path

import cv2
import pytest

from podstream_workloads.tracking.intruder.faces.__main__ import main
from tracking.intruder import aws_secret
from tracking.intruder.aws_secret import write_secret
from tracking.intruder.rendered_faces import person, portrait
from tracking.intruder.site_of import jpeg

KNOWN = (0, 1, 2, 3)
"""Seeds of those in the gallery."""


@pytest.fixture(scope="session")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gallery file of `KNOWN`, as `podstream-faces train` makes it."""
    folder = tmp_path_factory.mktemp("known_faces")
    for seed in KNOWN:
        cv2.imwrite(str(folder / f"person{seed}.png"), portrait(person(seed)))
    output = folder.parent / "gallery.npz"
    assert main(["train", str(folder), "--output", str(output), "--copies", "8"]) == 0
    return output


@pytest.fixture
def secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A mounted Secret; nothing else of this machine is asked for credentials."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    folder = tmp_path / "secret"
    write_secret(folder, "AKIAFIRST")
    return folder


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """A folder of known faces."""
    folder = tmp_path / "known_faces"
    folder.mkdir()
    for seed in (aws_secret.KNOWN, 2, 3):
        (folder / f"person {seed}.jpg").write_bytes(jpeg(portrait(person(seed))))
    return folder
