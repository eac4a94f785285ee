"""The Local recogniser on faces it has and has not seen; all of them are drawn, none is a photo.

The aims: of a known face's altered copies (size, light, 15 degrees each way, JPEG 60) at least
0.9 are known, of strangers' pictures at most 0.05.
"""

import asyncio
import shutil
import zipfile
from itertools import cycle
from pathlib import Path

import cv2
import numpy as np
import pytest

from podstream_workloads.tracking.intruder.faces.__main__ import main
from podstream_workloads.tracking.intruder.recognisers.local.finder import FACE_SIDE, FaceFinder
from podstream_workloads.tracking.intruder.recognisers.local.gallery import (
    GalleryUnreadable,
    build,
    load,
)
from podstream_workloads.tracking.intruder.recognisers.local.recogniser import LocalRecogniser
from podstream_workloads.tracking.intruder.verdict import Outcome
from tracking.intruder.conftest import KNOWN
from tracking.intruder.rendered_faces import ALTERATIONS, alter, person, portrait
from tracking.intruder.site_of import jpeg, room

STRANGERS = tuple(range(40, 60))


async def outcomes(gallery: Path, pictures: list[bytes]) -> list[Outcome]:
    """What the recogniser says to each."""
    recogniser = LocalRecogniser(gallery)
    try:
        return [(await recogniser.recognise(data, track="1")).outcome for data in pictures]
    finally:
        await recogniser.close()


async def test_altered_copies_of_known_faces_are_known(gallery: Path) -> None:
    pictures = [
        jpeg(alter(portrait(person(seed)), **change), 90)
        for seed in KNOWN[:2]
        for change in ALTERATIONS.values()
    ]
    said = await outcomes(gallery, pictures)
    share = said.count(Outcome.KNOWN) / len(said)
    print(f"known faces accepted: {share:.3f} of {len(said)} altered copies")
    assert share >= 0.9


async def test_strangers_are_not_known(gallery: Path) -> None:
    pictures = [
        jpeg(alter(portrait(person(seed)), **change), 90)
        for seed, change in zip(STRANGERS, cycle(ALTERATIONS.values()), strict=False)
    ]
    said = await outcomes(gallery, pictures)
    share = said.count(Outcome.KNOWN) / len(said)
    found = 1 - said.count(Outcome.UNDETERMINED) / len(said)
    print(f"strangers accepted: {share:.3f} of {len(said)}; a face was found in {found:.3f}")
    assert share <= 0.05
    assert found >= 0.85


async def test_no_face_is_undetermined(gallery: Path) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (240, 240, 3), np.uint8)
    said = await outcomes(gallery, [jpeg(room()), jpeg(noise), b"\xff\xd8\xff"])
    assert said == [Outcome.UNDETERMINED] * 3


@pytest.mark.parametrize("angle", [-15, -8, 0, 8, 15])
def test_faces_are_set_upright(angle: int) -> None:
    """Turned by what the test turned it, within 5 degrees."""
    face = FaceFinder().largest(alter(portrait(person(2)), angle=float(angle)))
    assert face is not None
    assert face.gray.shape == (FACE_SIDE, FACE_SIDE)
    assert abs(face.angle + angle) <= 5


async def test_a_replaced_gallery_is_used_at_once(gallery: Path, tmp_path: Path) -> None:
    place = tmp_path / "gallery.npz"
    recogniser = LocalRecogniser(place)
    await recogniser.open()
    picture = jpeg(portrait(person(KNOWN[0])))
    assert (await recogniser.recognise(picture, track="1")).outcome is Outcome.UNDETERMINED
    await asyncio.to_thread(shutil.copyfile, gallery, place)
    verdict = await recogniser.recognise(picture, track="1")
    assert (verdict.outcome, verdict.name) == (Outcome.KNOWN, f"person{KNOWN[0]}")
    place.write_bytes(b"half written")
    assert (await recogniser.recognise(picture, track="1")).outcome is Outcome.KNOWN
    await recogniser.close()


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04", b"no gallery"], ids=["empty", "zip", "text"]
)
def test_what_is_no_gallery_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "gallery.npz"
    path.write_bytes(content)
    with pytest.raises(GalleryUnreadable):
        load(path)


def test_a_gallery_holds_no_pickles(gallery: Path) -> None:
    """It is data: loading one runs nothing."""
    with np.load(gallery, allow_pickle=False) as kept:
        assert all(kept[name].dtype != object for name in kept.files)
    assert zipfile.is_zipfile(gallery)
    assert gallery.stat().st_size < 2_000_000


def test_a_gallery_of_another_algorithm_is_refused(gallery: Path, tmp_path: Path) -> None:
    with np.load(gallery) as kept:
        parts = {name: kept[name] for name in kept.files}
    other = tmp_path / "other.npz"
    np.savez(other, **{**parts, "algorithm": np.array("eigenfaces/1")})
    with pytest.raises(GalleryUnreadable, match="train it again"):
        load(other)


def test_one_person_alone_needs_others() -> None:
    rng = np.random.default_rng(1)
    one = {"ada": rng.normal(size=(5, 20)).astype(np.float32)}
    with pytest.raises(ValueError, match="at least two people"):
        build(one)
    assert build(one, others=rng.normal(size=(9, 20)).astype(np.float32)).names == ("ada",)


def test_training_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = str(tmp_path / "gallery.npz")
    for number, (name, content, says) in enumerate(
        [
            (None, b"", "no PNG or JPEG"),
            ("ada.png", b"no picture", "neither a JPEG nor a PNG"),
            ("wall.jpg", jpeg(room()), "no face was found in any picture of wall"),
        ]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        if name:
            (folder / name).write_bytes(content)
        assert main(["train", str(folder), "--output", output, "--copies", "4"]) == 1
        assert says in capsys.readouterr().err
    assert main(["train", str(tmp_path / "missing"), "--output", output]) == 1


def test_folders_of_pictures_and_the_check(
    tmp_path: Path, gallery: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in (1, 2):
        folder = tmp_path / "people" / f"p{seed}"
        folder.mkdir(parents=True)
        for number, change in enumerate(({}, {"gain": 0.7})):
            picture = alter(portrait(person(seed)), **change)  # type: ignore[arg-type]
            cv2.imwrite(str(folder / f"{number}.jpg"), picture)
    output = tmp_path / "gallery.npz"
    people = str(tmp_path / "people")
    assert main(["train", people, "--output", str(output), "--copies", "4"]) == 0
    assert "2 people" in capsys.readouterr().out
    stranger = tmp_path / "stranger.png"
    cv2.imwrite(str(stranger), portrait(person(20)))
    assert main(["check", str(output), str(tmp_path / "people/p1/0.jpg"), str(stranger)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert "known p1" in said[0]
    assert "unknown" in said[1]
