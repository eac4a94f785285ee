"""Small cases that can be counted by hand."""

import math
from pathlib import Path

import pytest

from podstream_workloads.tracking.metrics import MotError, evaluate, read_mot, write_mot
from podstream_workloads.tracking.metrics.mot import Rect, Sequence

HERE: Rect = (0, 0, 10, 10)
THERE: Rect = (100, 0, 110, 10)


def test_a_perfect_run_scores_one_everywhere() -> None:
    run: Sequence = {1: {1: HERE, 2: THERE}, 2: {1: HERE, 2: THERE}}

    quality = evaluate(run, run)

    assert (quality.mota, quality.motp, quality.idf1, quality.hota) == (1, 1, 1, 1)
    assert (quality.presence_f1, quality.ids_per_person) == (1, 1)
    assert (quality.switches, quality.people, quality.tracks) == (0, 2, 2)


def test_one_change_of_id_in_the_middle() -> None:
    """4 boxes, 1 switch; one id explains 2 of them; each id is half of the person."""
    truth = {frame: {7: HERE} for frame in (1, 2, 3, 4)}
    result = {1: {1: HERE}, 2: {1: HERE}, 3: {2: HERE}, 4: {2: HERE}}

    quality = evaluate(truth, result)

    assert quality.switches == 1
    assert quality.mota == 1 - 1 / 4
    assert quality.idf1 == 2 * 2 / (4 + 4)
    assert (quality.detection_accuracy, quality.association_accuracy) == (1, 0.5)
    assert quality.hota == pytest.approx(math.sqrt(0.5))
    assert quality.ids_per_person == 2


def test_a_miss_and_a_false_positive() -> None:
    """4 boxes of truth, 3 found, 2 results of nothing."""
    truth = {frame: {1: HERE} for frame in (1, 2, 3, 4)}
    result = {1: {1: HERE, 2: THERE}, 2: {1: HERE}, 3: {1: HERE}, 5: {2: THERE}}

    quality = evaluate(truth, result)

    assert (quality.misses, quality.false_positives, quality.switches) == (1, 2, 0)
    assert quality.mota == 1 - 3 / 4
    assert quality.idf1 == 2 * 3 / (4 + 5)
    # Of frames with somebody, 3 of 4 are seen; one frame is seen where nobody is.
    assert quality.presence_f1 == 2 * 3 / (4 + 4)
    assert quality.detection_accuracy == pytest.approx(3 / 6)
    assert quality.association_accuracy == pytest.approx(3 / 4)


def test_boxes_that_overlap_by_sixty_percent_reach_twelve_of_nineteen_thresholds() -> None:
    quality = evaluate({1: {1: (0, 0, 10, 10)}}, {1: {1: (0, 0, 10, 6)}})

    assert quality.motp == pytest.approx(0.6)
    assert quality.hota == pytest.approx(12 / 19)
    assert quality.mota == 1


def test_a_pair_stays_together_while_it_fits_though_another_would_fit_better() -> None:
    truth = {1: {1: HERE}, 2: {1: HERE}}
    result: Sequence = {1: {1: HERE}, 2: {1: (0, 0, 10, 6), 2: HERE}}

    quality = evaluate(truth, result)

    assert (quality.switches, quality.false_positives) == (0, 1)


def test_two_who_swap_ids_count_twice() -> None:
    truth = {1: {1: HERE, 2: THERE}, 2: {1: HERE, 2: THERE}}
    result = {1: {1: HERE, 2: THERE}, 2: {2: HERE, 1: THERE}}

    assert evaluate(truth, result).switches == 2


def test_as_many_pairs_as_possible_come_before_the_best_pair() -> None:
    """The middle result fits both; the best single pair would leave one person without."""
    truth: Sequence = {1: {1: (0, 0, 10, 10), 2: (3, 0, 13, 10)}}
    result: Sequence = {1: {1: (2.9, 0, 12.9, 10), 2: (6, 0, 16, 10)}}

    quality = evaluate(truth, result)

    assert quality.misses == 0


@pytest.mark.parametrize(
    ("truth", "result"), [({}, {}), ({1: {1: HERE}}, {}), ({}, {1: {1: HERE}})]
)
def test_nothing_to_score_scores_nothing(truth: Sequence, result: Sequence) -> None:
    quality = evaluate(truth, result)

    assert (quality.mota, quality.idf1, quality.hota, quality.presence_f1) == (0, 0, 0, 0)


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    run: Sequence = {1: {1: (1.5, 2, 10, 20), 2: THERE}, 3: {1: HERE}}
    write_mot(tmp_path / "run.txt", run)

    assert (tmp_path / "run.txt").read_text().splitlines()[
        0
    ] == "1,1,1.50,2.00,8.50,18.00,1,-1,-1,-1"
    assert read_mot(tmp_path / "run.txt") == run


def test_boxes_of_truth_that_do_not_count_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "gt.txt"
    path.write_text("1,1,0,0,10,10,1,1,1\n\n1,2,0,0,10,10,0,7,1\n2,1,5,5,10,10\n")

    assert read_mot(path) == {1: {1: (0, 0, 10, 10)}, 2: {1: (5, 5, 15, 15)}}


@pytest.mark.parametrize(
    "text",
    [
        "1,1,0,0,10",
        "one,1,0,0,10,10",
        "0,1,0,0,10,10",
        "1,1,0,0,0,10",
        "1,1,nan,0,10,10",
        "inf,1,0,0,10,10",
        "1,1,0,0,10,10\n1,1,0,0,10,10",
    ],
)
def test_a_line_that_is_no_box_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "gt.txt"
    path.write_text(text)

    with pytest.raises(MotError, match="line "):
        read_mot(path)
