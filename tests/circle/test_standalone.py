"""`podstream-circle server|client`: options, and each against its counterpart."""

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from podstream_core.api import Ball
from podstream_workloads.circle.__main__ import main
from podstream_workloads.circle.motion import Motion, fixed_law
from podstream_workloads.circle.standalone.options import ClientOptions, ServerOptions, parse

PROGRAM = str(Path(sys.executable).parent / "podstream-circle")
STOCK_CLIENT = str(Path(__file__).resolve().parents[1] / "e2e/stock_client.py")


@pytest.mark.parametrize(
    ("arguments", "environment", "expected"),
    [
        pytest.param(
            [], {}, ServerOptions("localhost", 50051, 3, 20, 640, 480, display=False), id="defaults"
        ),
        pytest.param(
            [],
            {"HOST_TO_LISTEN": "0.0.0.0", "PORT_TO_LISTEN": "50052"},
            ServerOptions("0.0.0.0", 50052, 3, 20, 640, 480, display=False),
            id="environment",
        ),
        pytest.param(
            ["-n", "h", "-p", "7", "-v", "5", "-r", "40", "-rh", "720", "-rw", "1280", "-d"],
            {"HOST_TO_LISTEN": "other", "PORT_TO_LISTEN": "1"},
            ServerOptions("h", 7, 5, 40, 1280, 720, display=True),
            id="flags win",
        ),
        pytest.param(
            ["--host", "h", "--no-display"],
            {"PORT_TO_LISTEN": "9"},
            ServerOptions("h", 9, 3, 20, 640, 480, display=False),
            id="each for itself",
        ),
    ],
)
def test_server_options(
    arguments: list[str], environment: dict[str, str], expected: ServerOptions
) -> None:
    assert parse(["server", *arguments], environment=environment) == expected


SERVICE = {
    "SERVER_SERVICE_NAME": "SERVER_SIGNAL_SERVICE",
    "SERVER_SIGNAL_SERVICE_SERVICE_HOST": "10.0.0.7",
    "SERVER_SIGNAL_SERVICE_SERVICE_PORT": "50055",
}


@pytest.mark.parametrize(
    ("arguments", "environment", "expected"),
    [
        pytest.param([], {}, ClientOptions("localhost", 50051, 6, 8, display=False), id="defaults"),
        pytest.param(
            [], SERVICE, ClientOptions("10.0.0.7", 50055, 6, 8, display=False), id="service"
        ),
        pytest.param(
            ["-n", "h"],
            SERVICE,
            ClientOptions("h", 50055, 6, 8, display=False),
            id="a given host is kept",
        ),
        *[
            pytest.param(
                [flag, "7", "--dp", "5.845", "--minDist", "5"],
                {},
                ClientOptions("localhost", 7, 5.845, 5, display=False),
                id=flag,
            )
            for flag in ("-p", "-port", "--port")
        ],
    ],
)
def test_client_options(
    arguments: list[str], environment: dict[str, str], expected: ClientOptions
) -> None:
    assert parse(["client", *arguments], environment=environment) == expected


@pytest.mark.parametrize(
    ("arguments", "environment", "reason"),
    [
        pytest.param([], {}, "required", id="no program"),
        pytest.param(["server", "-p", "70000"], {}, "1-65535", id="port"),
        pytest.param(["server"], {"PORT_TO_LISTEN": "x"}, "must be a number", id="port variable"),
        pytest.param(["server", "-rw", "641"], {}, "even", id="odd width"),
        pytest.param(["server", "-v", "1000"], {}, "0-100", id="velocity"),
    ],
)
def test_wrong_usage_names_the_reason(
    arguments: list[str],
    environment: dict[str, str],
    reason: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(arguments, environment=environment)
    assert ended.value.code == 2
    assert reason in capsys.readouterr().err


def test_windows_without_a_desktop_opencv_say_what_to_install(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["server", "-d"]) == 2
    assert "pip install 'podstream[desktop]'" in capsys.readouterr().err


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.media
def test_the_originals_client_plays_the_server_again_and_again() -> None:
    port = str(_free_port())
    with subprocess.Popen(
        [PROGRAM, "server", "-n", "127.0.0.1", "-p", port, "-rw", "320", "-rh", "240"],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as server:
        try:
            for _ in range(2):
                subprocess.run(
                    [sys.executable, STOCK_CLIENT, "127.0.0.1", port, "--estimates", "20"],
                    check=True,
                    timeout=60,
                    stdout=subprocess.DEVNULL,
                )
        finally:
            server.terminate()
        out, _ = server.communicate(timeout=20)
    seen = re.findall(r"time stamp (\d+):\n\tactual location: \((\d+), (\d+)\)", out)
    assert len(seen) >= 40
    for pts, x, y in seen:
        motion = Motion(fixed_law(Ball()), radius=20, width=320, height=240)
        motion.advance(round(int(pts) / 3000))
        assert motion.position == (int(x), int(y)), f"at {pts}"
    assert "signal consumed" in out
    assert server.returncode == 0


@pytest.mark.media
def test_the_client_may_start_first_and_ends_with_its_server() -> None:
    port = str(_free_port())
    command = [PROGRAM, "client", "-n", "127.0.0.1", "-p", port, "--dp", "1.5", "--minDist", "100"]
    with subprocess.Popen(
        command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as client:
        server_command = [PROGRAM, "server", "-n", "127.0.0.1", "-p", port]
        with subprocess.Popen(
            [*server_command, "-rw", "320", "-rh", "240"], text=True, stdout=subprocess.PIPE
        ) as server:
            assert server.stdout is not None
            scored = 0
            for line in server.stdout:
                scored += line.startswith("\tRMSE: ")
                if scored >= 20:
                    break
            server.terminate()
            server.communicate(timeout=20)
        out, _ = client.communicate(timeout=40)
    assert client.returncode == 0, out
    for words in ("received offer", "channel connected", "track connected", "goodbye"):
        assert words in out
