"""A gallery of rendered people, trained once for all tests."""

from pathlib import Path

import cv2
import pytest

from podstream_workloads.tracking.intruder.faces.__main__ import main
from tracking.intruder.rendered_faces import person, portrait

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
