"""The programs read what the chart tells them: the rendered environment, parsed for real."""

from collections.abc import Iterator, Mapping

import pytest

from chart.helm import VALUES, environment, render
from podstream_core.ports import LISTENERS
from podstream_operator.settings import DEFAULT_RESOURCES, OperatorSettings
from podstream_router.settings import Limits, Settings

every_set = pytest.mark.parametrize("values", VALUES)


class Watched(Mapping[str, str]):
    """An environment that notes which variables were asked for."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return self._variables[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._variables)

    def __len__(self) -> int:
        return len(self._variables)


def variables(values: str, component: str) -> Watched:
    found = environment(render(values), f"podstream-{component}")
    pod = {"POD_NAMESPACE": "streams", "POD_NAME": f"podstream-{component}-0"}
    return Watched(found | pod)


def unread(env: Watched) -> set[str]:
    """Variables of podstream that nobody looked at."""
    return {name for name in env if name.startswith("PODSTREAM_")} - env.asked


@every_set
def test_operator_reads_its_environment(values: str) -> None:
    env = variables(values, "operator")
    settings = OperatorSettings.from_env(env, own_namespace="nowhere")
    assert unread(env) == set()
    assert settings.site.external_url == env["PODSTREAM_EXTERNAL_URL"]
    assert settings.site.cluster_url == env["PODSTREAM_ROUTER_URL"]
    assert settings.site.signalling_address == env["PODSTREAM_SIGNALLING_ADDRESS"]
    assert settings.site.grpc_address == env.get("PODSTREAM_GRPC_ADDRESS", "")
    assert settings.site.frames_address == env.get("PODSTREAM_FRAMES_ADDRESS", "")
    assert settings.session_image.endswith("podstream/session:0.1.0")


@every_set
def test_router_reads_its_environment(values: str) -> None:
    env = variables(values, "router")
    settings = Settings.from_env(env)
    assert unread(env) == set()
    assert settings.operator_url == env["PODSTREAM_OPERATOR_URL"]
    assert settings.media_port == int(env["PODSTREAM_MEDIA_PORT"])


def test_served_namespaces_are_told_to_both() -> None:
    operator = OperatorSettings.from_env(variables("everything", "operator"), own_namespace="x")
    router = Settings.from_env(variables("everything", "router"))
    assert operator.namespaces == router.namespaces == ("default", "team-a")


def test_without_a_list_the_release_namespace_is_served() -> None:
    operator = OperatorSettings.from_env(variables("default", "operator"), own_namespace="x")
    router = Settings.from_env(variables("default", "router"))
    assert operator.namespaces == router.namespaces == ("streams",)


def test_router_listens_on_the_table() -> None:
    settings = Settings.from_env(variables("kind", "router"))
    assert [(item.name, item.port, item.protocol) for item in settings.listeners] == [
        (row.name, row.port, row.protocol) for row in LISTENERS if row.protocol != "media"
    ]


def test_defaults_of_chart_and_programs_are_equal() -> None:
    """Who runs a program by hand gets what the chart gives."""
    operator = OperatorSettings.from_env(variables("default", "operator"), own_namespace="x")
    assert operator.session_requests == DEFAULT_RESOURCES["requests"]
    assert operator.session_limits == DEFAULT_RESOURCES["limits"]
    router = Settings.from_env(variables("default", "router"))
    plain = Settings.from_env({"POD_NAMESPACE": "streams"})
    assert router.limits == plain.limits == Limits()
    assert router.hold_timeout_s == plain.hold_timeout_s
    assert router.drain_timeout_s == plain.drain_timeout_s
    assert router.admin_port == plain.admin_port
    assert operator.resync_seconds == 60
