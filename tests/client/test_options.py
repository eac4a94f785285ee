import json
from pathlib import Path

import pytest

from podstream_workloads.client.options import parse

URL = "http://127.0.0.1:8080/s/default/ball/whep"


def test_flags_win_over_the_environment(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("from-file\n")
    spec = {"estimator": {"method": "Hough", "dp": 2, "minDist": 9}}
    environment = {
        "PODSTREAM_CLIENT_URL": "http://other/",
        "PODSTREAM_CLIENT_TOKEN": "from-environment",
        "PODSTREAM_CLIENT_SPEC": json.dumps(spec),
    }
    options = parse(
        ["--url", URL, "--token-file", str(token), "--dp", "3", "--offset", "3,-4.5"],
        environment=environment,
    )
    assert (options.url, options.token, options.offset) == (URL, "from-file", (3.0, -4.5))
    assert (options.estimator.method, options.estimator.dp) == ("Hough", 3)
    assert options.estimator.min_dist == 9


def test_a_built_in_client_needs_its_environment_alone() -> None:
    options = parse([], environment={"PODSTREAM_CLIENT_URL": URL, "PODSTREAM_CLIENT_TOKEN": "t"})
    assert (options.url, options.token, options.estimator.method) == (URL, "t", "DiscFit")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        pytest.param([], "no WHEP or WHIP URL", id="no URL"),
        pytest.param(["--url", "ftp://x"], "no WHEP or WHIP URL", id="no HTTP"),
        pytest.param(["--url", URL, "--offset", "3"], "expected X,Y", id="half a point"),
        pytest.param(["--url", URL, "--frames", "-1"], "negative", id="negative"),
        pytest.param(["--url", URL, "--dp", "0"], "dp", id="dp out of bounds"),
        pytest.param(["--url", URL, "--token-file", "/none"], "No such file", id="no token file"),
    ],
)
def test_wrong_usage_is_2_with_the_reason(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(arguments, environment={})
    assert ended.value.code == 2
    assert reason in capsys.readouterr().err
