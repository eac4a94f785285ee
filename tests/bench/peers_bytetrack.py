# mypy: ignore-errors
"""Runs in the environment of `trackers`: its ByteTrack over given boxes.

Input: {"fps", "frames": [[[x1, y1, x2, y2, score], ...], ...]}; output: boxes by id by frame, and
the median CPU of an update in milliseconds.
"""

import json
import statistics
import sys
import time

import numpy as np
import supervision
from trackers import ByteTrackTracker


def main():
    run = json.load(sys.stdin)
    tracker = ByteTrackTracker(
        lost_track_buffer=45,  # at 30 frames per second: 1.5 s, as podstream's own
        frame_rate=run["fps"],
        track_activation_threshold=0.5,
        high_conf_det_threshold=0.5,
    )
    costs, answers = [], []
    for boxes in run["frames"]:
        table = np.array(boxes, dtype=np.float32).reshape(-1, 5)
        detections = supervision.Detections(
            xyxy=table[:, :4], confidence=table[:, 4], class_id=np.zeros(len(table), int)
        )
        began = time.thread_time()
        tracked = tracker.update(detections)
        costs.append(time.thread_time() - began)
        pairs = zip(tracked.tracker_id.tolist(), tracked.xyxy.tolist(), strict=True)
        answers.append({number: rect for number, rect in pairs if number >= 0})
    print(json.dumps({"frames": answers, "ms": 1e3 * statistics.median(costs)}))


main()
