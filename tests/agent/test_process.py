import os
import socket
import subprocess
import sys

import pytest

from agent.harness import KEY
from podstream_core.api import Circle, ImageOps, SessionSpec, Stream, Tracking
from podstream_core.tokens import PublicKeys
from podstream_workloads.agent.errors import SettingsError
from podstream_workloads.agent.registry import WORKLOAD_CLASSES, load_workload_class
from podstream_workloads.agent.settings import AgentSettings

GOOD = {
    "POD_UID": "uid",
    "POD_IP": "10.0.0.1",
    "PODSTREAM_PUBLIC_KEYS": PublicKeys.of(KEY).to_jwks(),
}


def test_agent_imports_no_media_code() -> None:
    code = (
        "import sys\n"
        "import podstream_workloads.agent.__main__\n"
        "heavy = {'cv2', 'aiortc', 'aioice', 'av', 'numpy', 'kopf', 'kubernetes'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_settings_have_the_defaults_of_the_contract() -> None:
    settings = AgentSettings.from_env(GOOD)
    assert (settings.control_port, settings.connect_port, settings.stream_port) == (
        9440,
        9441,
        9442,
    )
    assert str(settings.termination_log) == "/dev/termination-log"
    assert settings.confirm_timeout_s == 120
    assert settings.workloads is None


@pytest.mark.parametrize(
    ("env", "named"),
    [
        pytest.param({"POD_UID": ""}, "POD_UID", id="no-uid"),
        pytest.param({"POD_IP": ""}, "POD_IP", id="no-ip"),
        pytest.param({"PODSTREAM_PUBLIC_KEYS": ""}, "PODSTREAM_PUBLIC_KEYS", id="no-keys"),
        pytest.param({"PODSTREAM_PUBLIC_KEYS": "{}"}, "PODSTREAM_PUBLIC_KEYS", id="not-jwks"),
        pytest.param(
            {"PODSTREAM_PUBLIC_KEYS": '{"keys": []}'}, "PODSTREAM_PUBLIC_KEYS", id="empty-jwks"
        ),
        pytest.param({"PODSTREAM_CONTROL_PORT": "x"}, "PODSTREAM_CONTROL_PORT", id="port"),
        pytest.param({"PODSTREAM_STREAM_PORT": "65536"}, "PODSTREAM_STREAM_PORT", id="big-port"),
        pytest.param(
            {"PODSTREAM_REQUEST_TIMEOUT_SECONDS": "0"},
            "PODSTREAM_REQUEST_TIMEOUT_SECONDS",
            id="zero-seconds",
        ),
        pytest.param({"PODSTREAM_LOG_FORMAT": "xml"}, "PODSTREAM_LOG_FORMAT", id="log-format"),
        pytest.param({"PODSTREAM_LOG_LEVEL": "LOUD"}, "PODSTREAM_LOG_LEVEL", id="log-level"),
    ],
)
def test_bad_setting_is_named(env: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        AgentSettings.from_env(GOOD | env)


@pytest.mark.parametrize(
    ("env", "named"),
    [
        pytest.param({}, "POD_UID is not set", id="missing"),
        pytest.param(GOOD | {"PODSTREAM_WORKLOADS": "dance"}, "no workload 'dance'", id="unknown"),
    ],
)
def test_agent_that_cannot_start_says_why_and_exits_2(env: dict[str, str], named: str) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "podstream_workloads.agent"],
        env={"PATH": os.environ["PATH"], **env},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    assert named in result.stderr
    assert "Traceback" not in result.stderr


def test_port_that_is_taken_is_said_and_exits_2() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = subprocess.run(
            [sys.executable, "-m", "podstream_workloads.agent"],
            env={
                "PATH": os.environ["PATH"],
                **GOOD,
                "PODSTREAM_LISTEN_HOST": "127.0.0.1",
                "PODSTREAM_CONTROL_PORT": str(taken.getsockname()[1]),
                "PODSTREAM_CONNECT_PORT": "0",
                "PODSTREAM_STREAM_PORT": "0",
                "PODSTREAM_TERMINATION_LOG": os.devnull,
            },
            capture_output=True,
            text=True,
            check=False,
        )
    assert result.returncode == 2
    assert "address already in use" in result.stderr.lower()
    assert "Traceback" not in result.stderr


def test_registry_names_one_class_per_workload_of_the_api() -> None:
    every = SessionSpec(circle=Circle(), image_ops=ImageOps(), stream=Stream(), tracking=Tracking())
    assert sorted(WORKLOAD_CLASSES) == sorted(every.workloads)


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ("nothing", ValueError),
        (":Class", ValueError),
        ("json:JSONDecoder", ValueError),
        ("json:Missing", ValueError),
        ("no_such_module_here:Class", ImportError),
    ],
)
def test_target_that_is_no_workload_is_refused(target: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        load_workload_class(target)
