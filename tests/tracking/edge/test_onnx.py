from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import helper

from podstream_workloads.tracking.edge.analysis import Analyser
from podstream_workloads.tracking.edge.detectors.base import Detection, Picture, Rect
from podstream_workloads.tracking.edge.detectors.onnx import Onnx, decode, letterbox
from podstream_workloads.tracking.edge.errors import ModelRejected
from podstream_workloads.tracking.edge.rects import as_array, iou
from podstream_workloads.tracking.edge.settings import DetectorSettings, EdgeSettings, Method
from podstream_workloads.tracking.metrics import Quality, evaluate
from tracking.scenes.models import table_model, walkers_model, write
from tracking.scenes.walkers import BLACK, BLUE, RED, Scene, Walker, across

SETTINGS = DetectorSettings(method=Method.ONNX, confidence=0.5, overlap=0.3)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    room = next(Scene((), seconds=0.1, noise=0).render())[0].image
    return walkers_model(tmp_path_factory.mktemp("model") / "walkers.onnx", room=room)


def scene(seconds: float = 4) -> Scene:
    return Scene(
        (
            Walker(1, (across(0, 8),), torso=RED, legs=BLACK),
            Walker(2, (across(0, 9, y=205, back=True),), torso=BLUE, legs=BLACK),
        ),
        seconds=seconds,
    )


def test_a_model_in_yolov8s_layout_finds_walkers(model: Path) -> None:
    detector = Onnx(replace(SETTINGS, model=model))
    frame, truth = list(scene().render())[20]

    found = detector.detect(frame.image)

    assert {one.label for one in found} == {"person"}
    overlap = iou(as_array(list(truth.values())), as_array([one.rect for one in found]))
    assert (overlap.max(axis=1) > 0.5).all()
    assert len(found) == len(truth) == 2
    assert detector.detect(next(Scene((), seconds=0.1).render())[0].image) == []


def test_the_runtime_gets_the_threads_of_the_pod_and_does_not_spin(model: Path) -> None:
    detector = Onnx(replace(SETTINGS, model=model, cpu_limit=1.5))
    options = detector._session.get_session_options()

    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (2, 1)
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert detector.version.startswith("onnxruntime-")


def test_only_the_labels_asked_for_are_reported(model: Path) -> None:
    frame, _ = list(scene().render())[20]

    assert Onnx(replace(SETTINGS, model=model, labels=("dog",))).detect(frame.image) == []
    with pytest.raises(ModelRejected, match="the model knows no cat"):
        Onnx(replace(SETTINGS, model=model, labels=("cat",)))


def random_table(seed: int, count: int = 300, kinds: int = 3) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    places = rng.uniform(20, 300, (2, count))
    sizes = rng.uniform(10, 120, (2, count))
    scores = rng.uniform(0, 1, (kinds, count)) ** 3
    return np.concatenate((places, sizes, scores))[None].astype(np.float32)


@pytest.mark.parametrize("seed", range(5))
def test_decoding_equals_an_independent_decoder(seed: int) -> None:
    """OpenCV's own suppression, kind by kind, on corners rounded by nobody."""
    table = random_table(seed)
    expected = set()
    for kind in range(3):
        boxes, scores = [], []
        for cx, cy, w, h, *given in table[0].T.tolist():
            if max(given) == given[kind]:
                boxes.append((cx - w / 2, cy - h / 2, w, h))
                scores.append(given[kind])
        for index in np.ravel(cv2.dnn.NMSBoxes(boxes, scores, 0.3, 0.5)).tolist():
            x, y, w, h = boxes[index]
            corners = tuple(round(side, 2) for side in (x, y, x + w, y + h))
            expected.add((corners, round(scores[index], 4), kind))

    rects, scores_, kinds = decode(table, confidence=0.3, overlap=0.5)
    found = {
        (tuple(round(side, 2) for side in rect), round(score, 4), kind)
        for rect, score, kind in zip(rects.tolist(), scores_.tolist(), kinds.tolist(), strict=True)
    }

    assert found == expected
    assert len(found) > 20


@pytest.mark.parametrize("size", [(240, 320), (320, 240), (100, 100), (37, 211)])
def test_a_letterboxed_picture_is_found_again_where_it_was(size: tuple[int, int]) -> None:
    image = np.full((*size, 3), 255, np.uint8)

    square, scale, left, top = letterbox(image, 64)

    white = np.argwhere((square == 255).all(axis=2))
    assert square.shape == (64, 64, 3)
    assert white.min(axis=0).tolist() == [top, left]
    extent = (white.max(axis=0) + 1 - (top, left)) / scale
    assert extent.tolist() == pytest.approx(list(size), abs=1 / scale)
    assert (square[:top] == 114).all()


def test_boxes_are_in_pixels_of_the_picture_and_inside_it(tmp_path: Path) -> None:
    """A picture of 128x64 in a net of 64x64: half the size, 16 rows of grey above."""
    table = np.zeros((1, 5, 3), np.float32)
    table[0, :, 0] = (16, 32, 8, 16, 0.9)
    table[0, :, 1] = (60, 32, 20, 200, 0.8)
    table[0, :, 2] = (32, 4, 4, 4, 0.7)  # in the grey above: outside of the picture
    path = table_model(tmp_path / "table.onnx", table)

    found = Onnx(replace(SETTINGS, model=path)).detect(np.zeros((64, 128, 3), np.uint8))

    assert [one.rect for one in found] == [(24, 16, 40, 48), (100, 0, 128, 64)]
    assert [round(one.score, 3) for one in found] == [0.9, 0.8]
    assert {one.label for one in found} == {"kind 0"}


def refuse(path: Path | None, match: str) -> None:
    with pytest.raises(ModelRejected, match=match):
        Onnx(replace(SETTINGS, model=path))


def test_what_is_no_such_model_is_rejected(tmp_path: Path, model: Path) -> None:
    refuse(None, "no model is given")
    refuse(tmp_path / "none.onnx", "No such file")
    (tmp_path / "text.onnx").write_text("no model")
    refuse(tmp_path / "text.onnx", r"text\.onnx")
    flat = np.zeros((1, 7), np.float32)
    refuse(table_model(tmp_path / "flat.onnx", flat), "an output of 1 x")
    four = np.zeros((1, 4, 7), np.float32)
    refuse(table_model(tmp_path / "four.onnx", four), "an output of 1 x")
    fine = np.zeros((1, 6, 7), np.float32)
    named = table_model(tmp_path / "names.onnx", fine, names="{0: 'a'}")
    refuse(named, "names 1 kinds and scores 2")
    refuse(table_model(tmp_path / "code.onnx", fine, names="exit()"), "cannot be read")
    nodes = [helper.make_node("Identity", ["images"], ["output0"])]
    shape = [1, 3, 64, 32]
    refuse(write(tmp_path / "oblong.onnx", nodes, {}, shape=shape, out=shape), "a square input")


def test_a_camera_with_a_model_follows_who_crosses(model: Path) -> None:
    settings = replace(SETTINGS, model=model)
    analyser = Analyser(EdgeSettings(detector=settings, recheck_s=0.0))

    quality = judge(analyser, scene(seconds=9))

    assert (quality.tracks, quality.switches) == (2, 0)
    assert quality.presence_f1 >= 0.9


class Colourful:
    """Finds clothes by their colour, in parts of pictures as well; notes what it was shown."""

    name, version = "onnx", "colourful"

    def __init__(self) -> None:
        self.shown: list[int] = []

    def detect(self, image: Picture) -> list[Detection]:
        self.shown.append(image.shape[0] * image.shape[1])
        vivid = np.asarray(image.max(axis=2) - image.min(axis=2) > 110, dtype=np.uint8)
        _, _, stats, _ = cv2.connectedComponentsWithStats(vivid)
        torsos = [row[:4].tolist() for row in stats[1:] if row[4] > 150]
        rects = [(x - 4, y - 15, x + w + 4, y + h + 40) for x, y, w, h in torsos]
        return [Detection(rect, 0.9, "person") for rect in rects]


def test_the_detector_sees_what_moves_only() -> None:
    """Whole pictures now and then, parts in between, nothing while nothing moves."""
    detector = Colourful()
    settings = EdgeSettings(detector=DetectorSettings(method=Method.ONNX), recheck_s=2.0)
    analyser = Analyser(settings, detector=detector)
    looked: list[bool] = []
    walk = Scene((Walker(1, (across(4, 10),), torso=RED),), seconds=12)

    quality = judge(analyser, walk, looked=looked)

    assert (quality.tracks, quality.switches) == (1, 0)
    assert quality.presence_f1 >= 0.95
    assert sum(looked[:40]) <= 3
    assert all(looked[50:95])
    assert min(detector.shown) < 320 * 240 / 3


def test_who_stands_still_is_confirmed_now_and_then_and_ends_when_gone() -> None:
    detector = Colourful()
    settings = EdgeSettings(detector=DetectorSettings(method=Method.ONNX), recheck_s=2.0)
    analyser = Analyser(settings, detector=detector)
    stand = ((1.0, -20.0, 205.0), (4.0, 150.0, 205.0), (12.0, 150.0, 205.0))
    looked: list[bool] = []

    quality = judge(analyser, Scene((Walker(1, (stand,), torso=RED),), seconds=16), looked=looked)

    assert (quality.tracks, quality.people) == (1, 1)
    assert quality.presence_f1 >= 0.9


def judge(analyser: Analyser, walk: Scene, *, looked: list[bool] | None = None) -> Quality:
    truth: dict[int, dict[int, Rect]] = {}
    result: dict[int, dict[int, Rect]] = {}
    for frame, boxes in walk.render():
        tracked = analyser.analyse(frame)
        if looked is not None:
            looked.append(tracked.was_looked_at)
        truth[frame.index + 1] = boxes
        placed = {
            box.track_id: np.multiply(box.rect, (320, 240, 320, 240)) for box in tracked.boxes
        }
        result[frame.index + 1] = {
            track_id: (float(r[0]), float(r[1]), float(r[2]), float(r[3]))
            for track_id, r in placed.items()
        }
    return evaluate(truth, result)
