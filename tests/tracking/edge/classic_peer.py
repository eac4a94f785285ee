"""Runs in the environment of OpenCV 4: both detectors over a noisy picture, as JSON."""

import json

import numpy as np

from podstream_workloads.tracking.edge.detectors.classic import Haar, Hog

image = np.random.default_rng(1).integers(0, 255, (480, 800, 3)).astype(np.uint8)
answer = {}
for detector in (Hog(confidence=0.0), Haar(confidence=0.0)):
    found = detector.detect(image)
    inside = all(0 <= one.rect[0] < one.rect[2] <= 810 for one in found)
    answer[detector.name] = [detector.version, inside, all(0 <= one.score <= 1 for one in found)]
print(json.dumps(answer))
