from typing import Any

from podstream_workloads.discfit.values import Runs

def add_scores(
    samples: Any,
    stride: int,
    width: int,
    height: int,
    k: int,
    scores: Any,
    cols: int,
    rows: int,
    /,
) -> tuple[float, float, float, float]: ...
def window_scores(
    samples: Any,
    stride: int,
    width: int,
    height: int,
    x0: int,
    y0: int,
    k: int,
    scores: Any,
    cols: int,
    rows: int,
    threshold: float,
    sign: float,
    /,
) -> None: ...
def blobs(
    scores: Any, cols: int, rows: int, threshold: float, least: float, most: float, /
) -> tuple[list[tuple[float, ...]], Runs]: ...
def fit(
    samples: Any,
    stride: int,
    width: int,
    height: int,
    x: float,
    y: float,
    r: float,
    w: float,
    least_w: float,
    may_be_exact: bool,
    /,
) -> tuple[float, ...] | None: ...
def judge(
    samples: Any,
    stride: int,
    width: int,
    height: int,
    x: float,
    y: float,
    r: float,
    w: float,
    f: float,
    b: float,
    gx: float,
    gy: float,
    /,
) -> tuple[int, int, float, float]: ...
def probe(
    samples: Any, stride: int, width: int, height: int, x: float, y: float, r: float, /
) -> tuple[float, float]: ...
