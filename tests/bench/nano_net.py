"""A network with the size and layout of YOLOv8n at 320, and random weights: about 2.1 GFLOP."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, helper

from tracking.scenes.models import write

SIDE, KINDS = 320, 80
_STAGES = ((16, 0), (32, 2), (64, 6), (128, 6), (256, 2))
"""Channels of each halving, and convolutions after it."""
_HEADS = (2, 3, 4)


class _Net:
    def __init__(self) -> None:
        self.rng = np.random.default_rng(1)
        self.nodes: list[NodeProto] = []
        self.weights: dict[str, NDArray[np.generic]] = {}

    def conv(self, name: str, given: str, sizes: tuple[int, int, int], *, stride: int = 1) -> str:
        """A convolution with SiLU, as all of YOLOv8's."""
        come, go, kernel = sizes
        deviation = np.sqrt(2.0 / (come * kernel * kernel))
        weight = self.rng.normal(0, deviation, (go, come, kernel, kernel))
        self.weights[f"{name}.w"] = weight.astype(np.float32)
        pad = kernel // 2
        self.nodes += [
            helper.make_node(
                "Conv",
                [given, f"{name}.w"],
                [f"{name}.c"],
                strides=[stride] * 2,
                pads=[pad] * 4,
                kernel_shape=[kernel] * 2,
            ),
            helper.make_node("Sigmoid", [f"{name}.c"], [f"{name}.s"]),
            helper.make_node("Mul", [f"{name}.c", f"{name}.s"], [name]),
        ]
        return name


def nano_model(path: Path) -> Path:
    """Write the model."""
    net, at, come, side = _Net(), "images", 3, SIDE
    rows, cells = [], 0
    for stage, (channels, more) in enumerate(_STAGES):
        at = net.conv(f"down{stage}", at, (come, channels, 3), stride=2)
        come, side = channels, side // 2
        for index in range(more):
            at = net.conv(f"body{stage}.{index}", at, (channels, channels, 3))
        if stage in _HEADS:
            head = net.conv(f"head{stage}", at, (channels, 4 + KINDS, 1))
            net.weights[f"flat{stage}"] = np.array([1, 4 + KINDS, side * side], np.int64)
            net.nodes.append(helper.make_node("Reshape", [head, f"flat{stage}"], [f"row{stage}"]))
            rows.append(f"row{stage}")
            cells += side * side
    net.nodes.append(helper.make_node("Concat", rows, ["output0"], axis=2))
    return write(path, net.nodes, net.weights, shape=[1, 3, SIDE, SIDE], out=[1, 4 + KINDS, cells])
