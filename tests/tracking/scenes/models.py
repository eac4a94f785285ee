"""A small network in YOLOv8's layout that truly finds rendered walkers.

Nothing in it is learnt: a person is where the picture differs from the wall in a tall shape. The
net takes the distance of each pixel's colour from the room's (which is baked in as a constant),
averages it over a window of a walker's size and keeps the best of each place; every cell of a grid
of 8 pixels becomes one of N columns `cx cy w h score`, as YOLOv8's head writes them.
"""

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from podstream_workloads.tracking.edge.detectors.base import Picture
from podstream_workloads.tracking.edge.detectors.onnx import letterbox

SIDE, STRIDE = 320, 8
WINDOW = (80, 32)  # height and width of a walker, pixels
_FIRM = 0.12  # of full scale: a pixel that differs by so much counts whole
_FULL = 0.42  # part of the window that a walker fills; its score is 1


def walkers_model(path: Path, *, room: Picture, names: str = "{0: 'person', 1: 'dog'}") -> Path:
    """Write the model; it knows walkers and has a second kind that never fires."""
    cells = SIDE // STRIDE
    square, *_ = letterbox(room, SIDE)
    wall = square[None, :, :, ::-1].transpose(0, 3, 1, 2).astype(np.float32) / 255.0
    ys, xs = np.mgrid[0:cells, 0:cells] * STRIDE
    places = np.stack((xs.ravel(), ys.ravel()))[None].astype(np.float32)
    sizes = np.tile(np.array([[[WINDOW[1]], [WINDOW[0]]]], np.float32), (1, 1, cells * cells))
    high, wide = WINDOW[0] // STRIDE, WINDOW[1] // STRIDE
    constants: dict[str, NDArray[np.generic]] = {
        "wall": wall,
        "firm": np.array(1.0 / _FIRM, np.float32),
        "full": np.array(1.0 / _FULL, np.float32),
        "zero": np.array(0.0, np.float32),
        "one": np.array(1.0, np.float32),
        "places": places,
        "sizes": sizes,
        "flat": np.array([1, 1, cells * cells], np.int64),
        "never": np.zeros((1, 1, cells * cells), np.float32),
    }
    nodes = [
        helper.make_node("Sub", ["images", "wall"], ["off"]),
        helper.make_node("Abs", ["off"], ["distance"]),
        helper.make_node("ReduceMax", ["distance"], ["most"], axes=[1], keepdims=1),
        helper.make_node("Mul", ["most", "firm"], ["scaled"]),
        helper.make_node("Floor", ["scaled"], ["steps"]),
        helper.make_node("Clip", ["steps", "zero", "one"], ["differs"]),
        helper.make_node(
            "AveragePool", ["differs"], ["grid"], kernel_shape=[STRIDE] * 2, strides=[STRIDE] * 2
        ),
        helper.make_node(
            "AveragePool",
            ["grid"],
            ["filled"],
            kernel_shape=[high, wide],
            pads=[high // 2, wide // 2, high // 2 - 1, wide // 2 - 1],
            count_include_pad=1,
        ),
        # Only the best of its surroundings fires, as a trained head has learnt to.
        helper.make_node(
            "MaxPool", ["filled"], ["best"], kernel_shape=[high + 1, 3], pads=[high // 2, 1] * 2
        ),
        helper.make_node("Equal", ["filled", "best"], ["is_best"]),
        helper.make_node("Cast", ["is_best"], ["peak"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["filled", "full"], ["raw"]),
        helper.make_node("Mul", ["raw", "peak"], ["peaks"]),
        helper.make_node("Clip", ["peaks", "zero", "one"], ["scores"]),
        helper.make_node("Reshape", ["scores", "flat"], ["row"]),
        helper.make_node("Concat", ["places", "sizes", "row", "never"], ["output0"], axis=1),
    ]
    return write(
        path,
        nodes,
        constants,
        shape=[1, 3, SIDE, SIDE],
        out=[1, 6, cells * cells],
        names=names,
    )


def write(
    path: Path,
    nodes: list[onnx.NodeProto],
    constants: dict[str, NDArray[np.generic]],
    *,
    shape: list[int],
    out: list[int],
    names: str = "",
) -> Path:
    """Write a graph with one input `images` and one output `output0`."""
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, out)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    if names:
        helper.set_model_props(model, {"names": names})
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path


def table_model(path: Path, table: NDArray[np.float32], *, names: str = "") -> Path:
    """A net that answers every picture with one table of boxes."""
    nodes = [
        helper.make_node("ReduceMax", ["images"], ["top"], keepdims=0),
        helper.make_node("Mul", ["top", "nothing"], ["none"]),
        helper.make_node("Add", ["table", "none"], ["output0"]),
    ]
    constants: dict[str, NDArray[np.generic]] = {
        "table": table,
        "nothing": np.array(0.0, np.float32),
    }
    return write(path, nodes, constants, shape=[1, 3, 64, 64], out=list(table.shape), names=names)
