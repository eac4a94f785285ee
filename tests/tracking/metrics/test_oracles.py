"""The platform's own metrics against motmetrics (CLEAR, IDF1) and TrackEval (HOTA)."""

from pathlib import Path

import numpy as np
import pytest

from podstream_workloads.tracking.metrics import evaluate
from podstream_workloads.tracking.metrics.mot import Rect
from tracking.oracles import ask

Boxes = dict[int, dict[int, Rect]]
JUDGE = Path(__file__).parent / "judge.py"
POINT = 0.001  # a tenth of one percent


def run(seed: int) -> tuple[Boxes, Boxes]:
    """Eight people who wander, and a tracker that misses, invents, swaps and wobbles."""
    rng = np.random.default_rng(seed)
    places = rng.uniform(0, 400, (8, 2))
    names = np.arange(1, 9)
    truth: Boxes = {}
    result: Boxes = {}
    for frame in range(1, 121):
        places += rng.normal(0, 6, places.shape)
        if rng.random() < 0.08:
            one, other = rng.choice(8, 2, replace=False)
            names[[one, other]] = names[[other, one]]
        if rng.random() < 0.04:
            names[rng.integers(8)] = 100 + frame
        truth[frame], result[frame] = {}, {}
        for who, (x, y) in enumerate(places.tolist()):
            if rng.random() < 0.9:
                truth[frame][who + 1] = (x, y, x + 60, y + 120)
            if rng.random() < 0.85:
                dx, dy, dw = rng.normal(0, 9, 3).tolist()
                result[frame][int(names[who])] = (x + dx, y + dy, x + 60 + dx + dw, y + 120 + dy)
        for number in range(int(rng.poisson(0.5))):
            x, y = rng.uniform(0, 400, 2).tolist()
            result[frame][1000 + number] = (x, y, x + 60, y + 120)
    return truth, result


@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_scores_are_those_of_motmetrics_and_trackeval(seed: int) -> None:
    truth, result = run(seed)

    wanted = ask("tracking-metrics", JUDGE, {"truth": truth, "result": result})
    quality = evaluate(truth, result)

    assert quality.mota == pytest.approx(wanted["mota"], abs=POINT)
    assert 1 - quality.motp == pytest.approx(wanted["motp"], abs=POINT)
    assert quality.idf1 == pytest.approx(wanted["idf1"], abs=POINT)
    assert (quality.misses, quality.false_positives, quality.switches) == (
        wanted["num_misses"],
        wanted["num_false_positives"],
        wanted["num_switches"],
    )
    assert quality.hota == pytest.approx(wanted["HOTA"], abs=POINT)
    assert quality.detection_accuracy == pytest.approx(wanted["DetA"], abs=POINT)
    assert quality.association_accuracy == pytest.approx(wanted["AssA"], abs=POINT)
