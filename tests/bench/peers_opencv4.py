# mypy: ignore-errors
"""Runs in the environment of OpenCV 4: its network runtime and its HOG, on one thread.

Input: {"model": path, "pictures": {name: path of an array of frames}}; output: median CPU in
milliseconds of `dnn` and of `hog` per name.
"""

import json
import statistics
import sys
import time

import cv2
import numpy as np


def median_ms(work, inputs):
    costs = []
    for one in inputs:
        began = time.thread_time()
        work(one)
        costs.append(time.thread_time() - began)
    return 1e3 * statistics.median(costs)


def main():
    question = json.load(sys.stdin)
    cv2.setNumThreads(1)
    net = cv2.dnn.readNetFromONNX(question["model"])
    blob = np.random.default_rng(1).random((1, 3, 320, 320), dtype=np.float32)

    def forward(_):
        net.setInput(blob)
        net.forward()

    forward(None)
    answer = {"dnn": median_ms(forward, range(question["runs"])), "hog": {}}
    hog = cv2.HOGDescriptor()
    hog.setSVMDetector(cv2.HOGDescriptor_getDefaultPeopleDetector())
    for name, path in question["pictures"].items():
        frames = np.load(path)
        answer["hog"][name] = median_ms(
            lambda frame: hog.detectMultiScale(frame, winStride=(8, 8), scale=1.05), frames
        )
    print(json.dumps(answer))


main()
