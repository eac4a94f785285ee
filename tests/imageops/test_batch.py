"""`spec.imageOps.batch`: a folder of pictures is worked through without a client."""

import csv
import hashlib
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest

from fakes.context import Context
from imageops import hostile
from imageops.server import noise
from podstream_core.api import (
    ImageBatchResults,
    ImageOpsResults,
    SessionSpec,
)
from podstream_workloads.agent import SpecRejected
from podstream_workloads.imageops.workload import ImageOpsWorkload


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Volumes as a session pod has them, and a folder for artefacts."""
    (tmp_path / "batch/input").mkdir(parents=True)
    (tmp_path / "artefacts").mkdir()
    return tmp_path


def save(path: Path, picture: Any) -> bytes:
    cv2.imwrite(str(path), picture[:, :, ::-1])
    return path.read_bytes()


async def run(
    folders: Path, **batch: Any
) -> tuple[ImageBatchResults, ImageOpsResults, list[dict[str, str]]]:
    """Figures and table of a batch that has come to its end."""
    workload, context = ImageOpsWorkload(), Context(folders / "artefacts")
    context.volumes_dir = folders
    spec = {"imageOps": {"memoryMiB": 256, "batch": {"input": {"configMap": "c"}, **batch}}}
    try:
        await workload.configure(SessionSpec.from_body(spec), context)
        assert workload.is_finite
        await context.reported("done")
        assert context.reports[0] == "ready"
        results = await workload.results()
        (artefact,) = results.artefacts
        with artefact.path.open(encoding="utf-8") as file:
            table = list(csv.DictReader(file))
        figures = results.figures
        assert isinstance(figures, ImageOpsResults)
        assert figures.batch is not None
        return figures.batch, figures, table
    finally:
        await workload.drain()


async def test_every_picture_is_worked_on_and_written(folders: Path) -> None:
    names = [f"photo-{number:02}.png" for number in range(12)]
    sources = {name: noise(20, 10, seed=seed) for seed, name in enumerate(names)}
    sizes = [
        len(save(folders / "batch/input" / name, picture)) for name, picture in sources.items()
    ]
    output = {"claimName": "results", "path": "turned/small"}
    batch, figures, table = await run(folders, operations=["turn=1", "crop=8x8+1+1"], output=output)
    assert (batch.total, batch.done, batch.failed) == (12, 12, 0)
    assert batch.bytes_in == sum(sizes)
    assert batch.seconds > 0
    assert [item.name for item in batch.items] == names[:10]
    assert [row["name"] for row in table] == names
    assert (figures.calls, figures.operations.turn, figures.operations.crop) == (12, 12, 12)
    for name, row in zip(names, table, strict=True):
        made = (folders / "batch/output" / "turned" / "small" / name).read_bytes()
        truth = np.rot90(sources[name])[1:9, 1:9]
        decoded = cv2.imdecode(np.frombuffer(made, np.uint8), cv2.IMREAD_COLOR_RGB)
        assert np.array_equal(np.asarray(decoded), truth)
        assert row["sha256"] == hashlib.sha256(made).hexdigest()
        assert (int(row["size"]), row["width"], row["height"]) == (len(made), "8", "8")
        assert row["error"] == ""
    first = batch.items[0]
    assert (str(first.size), first.sha256) == (table[0]["size"], table[0]["sha256"])
    assert first.milliseconds is not None
    assert batch.bytes_out == sum(int(row["size"]) for row in table)


async def test_bad_pictures_are_told_and_end_nothing(folders: Path) -> None:
    save(folders / "batch/input" / "b.png", noise(20, 10))
    (folders / "batch/input" / "a.png").write_bytes(b"<html></html>")
    (folders / "batch/input" / "c.png").write_bytes(
        hostile.png_of_zeros(30_000, 30_000, bits=1, colour=0)
    )
    (folders / "batch/input" / "d.png").write_bytes(b"")
    (folders / "batch/input" / "e.png").symlink_to("/etc/hostname")
    (folders / "batch/input" / "..data").mkdir()  # as a ConfigMap's volume has it
    batch, figures, table = await run(folders)
    assert [(item.name, bool(item.error)) for item in batch.items] == [
        ("a.png", True),
        ("b.png", False),
        ("c.png", True),
        ("d.png", True),
        ("e.png", True),
    ]
    assert (batch.total, batch.done, batch.failed) == (5, 1, 4)
    assert "outside the input" in table[4]["error"]
    assert (figures.rejected.too_large, figures.rejected.invalid) == (1, 3)
    assert not (folders / "batch/output").exists()


async def test_results_of_one_name_do_not_meet(folders: Path) -> None:
    for name in ("photo.png", "photo.bmp"):
        save(folders / "batch/input" / name, noise(9, 7))
    await run(folders, format="webp", output={"claimName": "results"})
    made = sorted(path.name for path in (folders / "batch/output").iterdir())
    assert made == ["photo.png.webp", "photo.webp"]


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        ({"operations": ["melt"]}, "'melt' is no operation"),
        ({"operations": ["gaussian=99"]}, r"spec\.imageOps\.batch\.operations: operation 1"),
        ({"input": {"volume": {"claimName": "c", "path": "empty"}}}, "has no files"),
        ({"input": {"volume": {"claimName": "c", "path": "none"}}}, "No such file"),
    ],
)
async def test_what_cannot_begin_is_refused(
    folders: Path, batch: dict[str, Any], words: str
) -> None:
    (folders / "batch/input" / "empty").mkdir()
    save(folders / "batch/input" / "a.png", noise(4, 4))
    workload, context = ImageOpsWorkload(), Context(folders / "artefacts")
    context.volumes_dir = folders
    spec = {"imageOps": {"memoryMiB": 256, "batch": {"input": {"configMap": "c"}, **batch}}}
    try:
        with pytest.raises(SpecRejected, match=words):
            await workload.configure(SessionSpec.from_body(spec), context)
    finally:
        await workload.drain()


async def test_a_drain_ends_the_batch(folders: Path) -> None:
    save(folders / "batch/input" / "large.png", np.zeros((3000, 4000, 3), np.uint8))
    workload, context = ImageOpsWorkload(), Context(folders / "artefacts")
    context.volumes_dir = folders
    operations = ["gaussian=40"] * 30
    batch = {"input": {"configMap": "c"}, "operations": operations}
    spec = SessionSpec.from_body({"imageOps": {"batch": batch}})
    await workload.configure(spec, context)
    await workload.drain()
    assert "done" not in context.reports
    results = (await workload.results()).figures
    assert isinstance(results, ImageOpsResults)
    assert results.batch == ImageBatchResults(total=1)


@pytest.mark.parametrize("path", ["../x", "a/../b", "/etc", "a//b", ".hidden", "a/"])
def test_paths_stay_inside_the_volume(path: str) -> None:
    batch = {"input": {"volume": {"claimName": "c", "path": path}}}
    with pytest.raises(msgspec.ValidationError):
        SessionSpec.from_body({"imageOps": {"batch": batch}})
