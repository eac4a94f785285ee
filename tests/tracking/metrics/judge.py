# mypy: ignore-errors
"""Runs in the environment of motmetrics and TrackEval: their numbers of a run, as JSON.

Input: {"truth": {frame: {id: [x1, y1, x2, y2]}}, "result": the same}.
"""

import json
import sys

import motmetrics
import numpy as np
from trackeval.metrics import HOTA


def overlap(one, other):
    a, b = np.array(one, float).reshape(-1, 1, 4), np.array(other, float).reshape(1, -1, 4)
    low, high = np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=-1)
    sizes = [np.prod(c[..., 2:] - c[..., :2], axis=-1) for c in (a, b)]
    return shared / np.maximum(sizes[0] + sizes[1] - shared, 1e-12)


def main():
    run = json.load(sys.stdin)
    truth, result = run["truth"], run["result"]
    frames = sorted(set(truth) | set(result), key=int)
    accumulator = motmetrics.MOTAccumulator()
    ids = [sorted({who for frame in side.values() for who in frame}) for side in (truth, result)]
    data = {
        "num_gt_ids": len(ids[0]),
        "num_tracker_ids": len(ids[1]),
        "gt_ids": [],
        "tracker_ids": [],
        "similarity_scores": [],
        "num_gt_dets": sum(map(len, truth.values())),
        "num_tracker_dets": sum(map(len, result.values())),
    }
    for frame in frames:
        wanted, given = truth.get(frame, {}), result.get(frame, {})
        table = overlap(list(wanted.values()), list(given.values()))
        distance = np.where(table >= 0.5, 1 - table, np.nan)
        accumulator.update(list(wanted), list(given), distance, frameid=int(frame))
        data["gt_ids"].append(np.array([ids[0].index(one) for one in wanted], int))
        data["tracker_ids"].append(np.array([ids[1].index(one) for one in given], int))
        data["similarity_scores"].append(table)
    names = ["mota", "motp", "idf1", "num_switches", "num_misses", "num_false_positives"]
    summary = motmetrics.metrics.create().compute(accumulator, metrics=names)
    scores = {name: float(summary[name].iloc[0]) for name in names}
    hota = HOTA({"PRINT_CONFIG": False}) if HOTA.__init__.__code__.co_argcount > 1 else HOTA()
    higher = hota.eval_sequence(data)
    scores |= {name: float(np.mean(higher[name])) for name in ("HOTA", "DetA", "AssA")}
    print(json.dumps(scores))


main()
