"""A network in YOLOv8's layout, run by onnxruntime.

Layout (Ultralytics' export): input 1 x 3 x S x S, RGB, 0 to 1, the picture letterboxed in grey
114; output 1 x (4 + kinds) x N, rows cx cy w h in pixels of the input, then a score per kind.
Names of kinds come from the model's metadata `names`.
"""

import ast
import hashlib
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from podstream_workloads.tracking.edge.detectors.base import Detection, Picture
from podstream_workloads.tracking.edge.errors import DetectorUnavailable, ModelRejected
from podstream_workloads.tracking.edge.rects import iou
from podstream_workloads.tracking.edge.settings import DetectorSettings

_GREY: Final = 114
_MOST_CANDIDATES: Final = 1000  # before suppression: it is quadratic
_BOX: Final = 4
_TYPES: Final = {"tensor(float)": np.float32, "tensor(float16)": np.float16}

Floats = NDArray[np.float32]


class Onnx:
    """Detects with a mounted model."""

    name = "onnx"

    def __init__(self, settings: DetectorSettings) -> None:
        """Load the model and run it once.

        Raises:
            DetectorUnavailable: onnxruntime is not installed.
            ModelRejected: the model is missing, unreadable or laid out differently.
        """
        try:
            import onnxruntime  # noqa: PLC0415 - an image without it still has the other detectors
        except ImportError as error:
            raise DetectorUnavailable("onnxruntime is not installed") from error
        self._settings = settings
        data = _read(settings.model)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = settings.threads
        options.inter_op_num_threads = 1
        # Threads that spin for work take the pod's share of the processor from everybody else.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 4
        try:
            self._session: Any = onnxruntime.InferenceSession(
                data, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its exceptions have no common base of their own
            raise ModelRejected(f"{settings.model}: {str(error)[:300]}") from error
        digest = hashlib.sha256(data).hexdigest()[:12]
        self.version = f"onnxruntime-{onnxruntime.__version__}-{digest}"
        self._input, self._type, self._side = self._find_input()
        kinds = self._try_out()
        self._labels = self._names(kinds)
        unknown = set(settings.labels) - set(self._labels)
        if unknown:
            raise ModelRejected(f"the model knows no {', '.join(sorted(unknown))}")

    def detect(self, image: Picture) -> list[Detection]:
        """What the network finds in a picture of any size."""
        pixels, scale, left, top = letterbox(image, self._side)
        table = self._run(pixels)
        rects, scores, kinds = decode(
            table, confidence=self._settings.confidence, overlap=self._settings.overlap
        )
        high, wide = image.shape[:2]
        rects = (rects - (left, top, left, top)) / scale
        rects = np.clip(rects, 0.0, (wide, high, wide, high))
        found = []
        for (x1, y1, x2, y2), score, kind in zip(
            rects.tolist(), scores.tolist(), kinds.tolist(), strict=True
        ):
            label = self._labels[kind]
            wanted = not self._settings.labels or label in self._settings.labels
            if wanted and x2 > x1 and y2 > y1:
                found.append(Detection((x1, y1, x2, y2), score, label))
        return found

    def _run(self, pixels: Picture) -> Floats:
        ready = pixels[None, :, :, ::-1].transpose(0, 3, 1, 2) / np.float32(255.0)
        fed = np.ascontiguousarray(ready, dtype=self._type)
        return np.asarray(self._session.run(None, {self._input: fed})[0], dtype=np.float32)

    def _find_input(self) -> tuple[str, Any, int]:
        inputs = self._session.get_inputs()
        shape = inputs[0].shape if len(inputs) == 1 else []
        if len(shape) != 4 or shape[1] not in {3, "channels"} or inputs[0].type not in _TYPES:  # noqa: PLR2004
            raise ModelRejected(f"one input of 1 x 3 x S x S floats expected, not {shape}")
        if shape[2] != shape[3] and not isinstance(shape[2], str):
            raise ModelRejected(f"a square input expected, not {shape}")
        side = shape[2] if isinstance(shape[2], int) else self._settings.input_size
        return inputs[0].name, _TYPES[inputs[0].type], side

    def _try_out(self) -> int:
        try:
            shape = self._run(np.zeros((self._side, self._side, 3), np.uint8)).shape
        except Exception as error:
            raise ModelRejected(f"the model does not run: {str(error)[:300]}") from error
        if len(shape) != 3 or shape[0] != 1 or shape[1] <= _BOX:  # noqa: PLR2004
            raise ModelRejected(f"an output of 1 x (4 + kinds) x N expected, not {shape}")
        return int(shape[1]) - _BOX

    def _names(self, kinds: int) -> list[str]:
        told = self._session.get_modelmeta().custom_metadata_map.get("names", "")
        try:
            names = ast.literal_eval(told) if told else {}
        except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
            raise ModelRejected("the model's metadata `names` cannot be read") from error
        if isinstance(names, list):
            names = dict(enumerate(names))
        if not isinstance(names, dict):
            raise ModelRejected("the model's metadata `names` is no table")
        if names and set(names) != set(range(kinds)):
            raise ModelRejected(f"the model names {len(names)} kinds and scores {kinds}")
        return [str(names.get(kind, f"kind {kind}")) for kind in range(kinds)]


def _read(path: Path | None) -> bytes:
    if path is None:
        raise ModelRejected("no model is given")
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelRejected(f"{path}: {error.strerror or error}") from error


def letterbox(image: Picture, side: int) -> tuple[Picture, float, int, int]:
    """A picture in a square, undistorted, grey around it; scale, and pixels left and above."""
    high, wide = image.shape[:2]
    scale = min(side / high, side / wide)
    size = (max(1, round(wide * scale)), max(1, round(high * scale)))
    inside = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
    square = np.full((side, side, 3), _GREY, dtype=np.uint8)
    left, top = (side - size[0]) // 2, (side - size[1]) // 2
    square[top : top + size[1], left : left + size[0]] = inside
    return square, scale, left, top


def decode(
    table: Floats, *, confidence: float, overlap: float
) -> tuple[NDArray[np.float64], Floats, NDArray[np.intp]]:
    """Rectangles (in pixels of the input), scores and kinds, the surest first.

    Args:
        table: 1 x (4 + kinds) x N.
        confidence: scores below are left out.
        overlap: intersection over union above which the less sure of one kind goes.
    """
    rows = table[0].T
    kinds = rows[:, _BOX:].argmax(axis=1)
    scores = rows[np.arange(len(rows)), kinds + _BOX]
    kept = np.flatnonzero(scores >= confidence)
    kept = kept[np.argsort(-scores[kept], kind="stable")][:_MOST_CANDIDATES]
    boxes, scores, kinds = rows[kept, :_BOX].astype(np.float64), scores[kept], kinds[kept]
    half = 0.5 * boxes[:, 2:]
    rects = np.concatenate((boxes[:, :2] - half, boxes[:, :2] + half), axis=1)
    chosen = _suppress(rects, kinds, overlap)
    return rects[chosen], scores[chosen], kinds[chosen]


def _suppress(
    rects: NDArray[np.float64], kinds: NDArray[np.intp], overlap: float
) -> NDArray[np.intp]:
    """Indices that stay, of rectangles in order of score."""
    hides = (iou(rects, rects) > overlap) & (kinds[:, None] == kinds[None, :])
    stays = np.ones(len(rects), dtype=np.bool_)
    for index in range(len(rects)):
        if stays[index]:
            stays[index + 1 :] &= ~hides[index, index + 1 :]
    return np.flatnonzero(stays)
