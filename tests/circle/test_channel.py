import pytest

from podstream_workloads.circle.channel import (
    Estimate,
    ToldTruth,
    format_estimate,
    format_truth,
    parse_estimate,
    parse_truth,
)


@pytest.mark.parametrize(
    ("text", "estimate"),
    [
        pytest.param("40\t41\t3000", Estimate((40, 41), 3000, None), id="the original's"),
        pytest.param("-1\t-1\t0", Estimate(None, 0, None), id="the original before it saw a ball"),
        pytest.param(
            "40.125\t41.5\t3000\t4294967295",
            Estimate((40.125, 41.5), 3000, 4294967295),
            id="with RTP timestamp",
        ),
        pytest.param("-\t-\t3000\t7", Estimate(None, 3000, 7), id="no ball"),
        pytest.param(
            "40.125\t41.5\t3000\t7\t#65535",
            Estimate((40.125, 41.5), 3000, 7, 65_535),
            id="with the code in the picture",
        ),
        pytest.param(
            "40.125\t41.5\t3000\t7\t~1250",
            Estimate((40.125, 41.5), 3000, 7, job_s=0.00125),
            id="with the time it took",
        ),
        pytest.param(
            "40.125\t41.500\t3000\t7\to20.250",
            Estimate((40.125, 41.5), 3000, 7, radius=20.25),
            id="with its radius",
        ),
        pytest.param(
            "-\t-\t3000\t7\t#5\t~999999999",
            Estimate(None, 3000, 7, 5, 999.999999),
            id="with all there is",
        ),
    ],
)
def test_estimates_are_read(text: str, estimate: Estimate) -> None:
    assert parse_estimate(text) == estimate
    assert parse_estimate(format_estimate(estimate)) == estimate


@pytest.mark.parametrize(
    "junk",
    [
        "hi",
        "",
        "a\tb",
        "1\t2",
        "1\t2\tthree",
        "1\t2\t3\t-1",
        "1\t2\t3\t4294967296",
        "1\t2\t3\t4\t5",
        "1\t2\t3\t4\t#65536",
        "1\t2\t3\t4\t#",
        "1\t2\t3\t4\t~",
        "1\t2\t3\t4\t~5\t#6",
        "1\t2\t3\t4\t~1234567890",
        "nan\t2\t3",
        "inf\t2\t3",
        "1e9\t2\t3",
        "-\t2\t3",
        "9" * 200 + "\t1\t2",
        b"1\t2\t3",
        None,
    ],
)
def test_everything_else_is_no_estimate(junk: object) -> None:
    assert parse_estimate(junk) is None


@pytest.mark.parametrize(
    ("text", "truth"),
    [
        ("=\t40.125\t41.500\t20.000\t3000\t7", ToldTruth((40.125, 41.5), 20, 3000, 7)),
        ("=\t-3.000\t41.500\t20.000\t3000", ToldTruth((-3, 41.5), 20, 3000, None)),
    ],
)
def test_truths_are_written_and_read_and_are_no_estimates(text: str, truth: ToldTruth) -> None:
    assert format_truth(truth) == text
    assert parse_truth(text) == truth
    assert parse_estimate(text) is None


@pytest.mark.parametrize(
    "junk",
    ["", "=", "=\t1\t2\t3", "=\tnan\t2\t3\t4", "=\t1\t2\t3\tx", "1\t2\t3\t4\t5", "=" * 200, None],
)
def test_what_is_no_truth_is_not_taken_for_one(junk: object) -> None:
    assert parse_truth(junk) is None
