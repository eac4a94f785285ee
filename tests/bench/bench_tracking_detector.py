"""Detectors: onnxruntime against cv2.dnn, the whole edge against its net, motion against HOG.

    python tests/bench/bench_tracking_detector.py [--frames 60] [--json]

The net has the size and layout of YOLOv8n at 320 and random weights; everything on one thread.
cv2.dnn and HOG are those of OpenCV 4.14, in an environment of its own, for OpenCV 5 has no HOG.
CPU per picture, median; only ratios within one run mean anything.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bench.kept import keep
from bench.nano_net import nano_model
from podstream_workloads.tracking.edge.analysis import Analyser
from podstream_workloads.tracking.edge.detectors.onnx import Onnx
from podstream_workloads.tracking.edge.latest import Frame
from podstream_workloads.tracking.edge.settings import DetectorSettings, EdgeSettings, Method
from tracking.oracles import ask
from tracking.scenes.scenes import crossing

PEER = Path(__file__).parent / "peers_opencv4.py"
SIZES = {"320x240": (320, 240), "640x480": (640, 480)}


def median_ms(work: Callable[[Any], object], inputs: Iterable[Any]) -> float:
    """CPU of this thread per input."""
    costs = []
    for one in inputs:
        began = time.thread_time()
        work(one)
        costs.append(time.thread_time() - began)
    return 1e3 * statistics.median(costs)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--json", action="store_true", help="keep the results")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    frames = [frame for frame, _ in crossing().render()][20 : 20 + options.frames]
    sized = {
        name: [
            Frame(np.asarray(cv2.resize(one.image, size), np.uint8), one.time_s, one.index)
            for one in frames
        ]
        for name, size in SIZES.items()
    }
    with tempfile.TemporaryDirectory() as folder:
        model = nano_model(Path(folder) / "nano.onnx")
        settings = DetectorSettings(method=Method.ONNX, model=model, cpu_limit=1.0, confidence=0.99)
        detector = Onnx(settings)
        pixels = np.zeros((320, 320, 3), np.uint8)
        net_ms = median_ms(lambda _: detector._run(pixels), range(options.frames))
        # Every picture whole: the dearest case. Usually the gate spares most of it.
        analyser = Analyser(EdgeSettings(detector=settings, recheck_s=0.0), detector=detector)
        whole_ms = median_ms(analyser.analyse, sized["640x480"])
        gated = Analyser(EdgeSettings(detector=settings), detector=detector)
        gated_ms = median_ms(gated.analyse, sized["640x480"])
        motion_ms = {
            name: median_ms(Analyser(EdgeSettings()).analyse, given)
            for name, given in sized.items()
        }
        pictures = {}
        for name, given in sized.items():
            np.save(Path(folder) / name, np.stack([one.image for one in given]))
            pictures[name] = f"{folder}/{name}.npy"
        question = {"model": str(model), "pictures": pictures, "runs": options.frames}
        peer = ask("tracking-opencv4", PEER, question)
    results = {
        "onnxruntime": {"ms": net_ms, "ratio_to_cv2_dnn": net_ms / peer["dnn"]},
        "whole_edge": {"ms": whole_ms, "ratio_to_net": whole_ms / net_ms, "fps": 1e3 / whole_ms},
        "gated_edge": {"ms": gated_ms, "ratio_to_net": gated_ms / net_ms},
        "motion": {
            name: {"ms": ms, "ratio_to_hog": ms / peer["hog"][name]}
            for name, ms in motion_ms.items()
        },
    }
    rows = [
        ("net at 320, onnxruntime", net_ms, net_ms / peer["dnn"], "of cv2.dnn's (target 0.75)"),
        ("edge, every picture whole", whole_ms, whole_ms / net_ms, "of the net's (target 1.4)"),
        ("edge, gated", gated_ms, gated_ms / net_ms, "of the net's"),
    ]
    for name, ms in motion_ms.items():
        rows.append((f"edge by motion, {name}", ms, ms / peer["hog"][name], "of HOG's"))
    for what, ms, ratio, of in rows:
        print(f"{what:<28} {ms:8.2f} ms {ratio:6.2f}x {of}")
    print(f"every picture whole: {1e3 / whole_ms:.1f} frames/s of one processor (target 15)")
    if options.json:
        keep(__file__, results)


if __name__ == "__main__":
    main()
