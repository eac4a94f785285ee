"""The agent's settings; the only place of this package that reads the environment."""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from podstream_core import names, ports
from podstream_core.logs import LogFormat
from podstream_core.tokens import PublicKeys
from podstream_workloads.agent.errors import SettingsError


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings:
    """Everything the agent is told from outside."""

    pod_uid: str
    """Audience of every token that is meant for this pod."""
    pod_ip: str
    """Address of media candidates."""
    public_keys: PublicKeys
    """Keys of the installation's operator and router."""
    pod_name: str = ""
    """For log lines."""
    pod_namespace: str = ""
    """For log lines."""
    listen_host: str | None = None
    """Address of the three ports; `None`: all, IPv4 and IPv6."""
    control_port: int = ports.AGENT_CONTROL_PORT
    """0: any free port, named in the log."""
    connect_port: int = ports.AGENT_CONNECT_PORT
    """0: any free port, named in the log."""
    stream_port: int = ports.AGENT_STREAM_PORT
    """0: any free port, named in the log."""
    workloads: tuple[str, ...] | None = None
    """Workloads whose children start with the pod; `None`: all that are registered."""
    termination_log: Path = Path(names.TERMINATION_MESSAGE_PATH)
    """File of the termination record."""
    scratch_dir: Path = Path("/tmp")
    """Folder in which the agent makes a private one: unix sockets, artefacts."""
    volumes_dir: Path = Path(names.VOLUMES_PATH)
    """Folder below which the session's volumes are mounted."""
    confirm_timeout_s: float = 120.0
    """An assigned pod that hears from nobody for so long ends itself."""
    establish_timeout_s: float = 30.0
    """An admitted connection must carry media within this time."""
    request_timeout_s: float = 10.0
    """A peer must send its headers, its body or its stream preamble within this time."""
    max_connections: int = 256
    """TCP connections of each port at once; more are closed unanswered."""
    log_level: str = "INFO"
    log_format: LogFormat = "json"

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Self:
        """Read the environment.

        Raises:
            SettingsError: something is missing or cannot be read; the message names the variable.
        """
        env = os.environ if env is None else env
        return cls(
            pod_uid=_required(env, names.ENV_POD_UID),
            pod_ip=_required(env, names.ENV_POD_IP),
            public_keys=_public_keys(_required(env, names.ENV_PUBLIC_KEYS)),
            pod_name=env.get(names.ENV_POD_NAME, ""),
            pod_namespace=env.get(names.ENV_POD_NAMESPACE, ""),
            listen_host=env.get("PODSTREAM_LISTEN_HOST") or None,
            control_port=_port(env, "PODSTREAM_CONTROL_PORT", ports.AGENT_CONTROL_PORT),
            connect_port=_port(env, "PODSTREAM_CONNECT_PORT", ports.AGENT_CONNECT_PORT),
            stream_port=_port(env, "PODSTREAM_STREAM_PORT", ports.AGENT_STREAM_PORT),
            workloads=_names(env.get("PODSTREAM_WORKLOADS")),
            termination_log=Path(
                env.get("PODSTREAM_TERMINATION_LOG") or names.TERMINATION_MESSAGE_PATH
            ),
            scratch_dir=Path(tempfile.gettempdir()),
            confirm_timeout_s=_seconds(env, "PODSTREAM_CONFIRM_TIMEOUT_SECONDS", 120.0),
            establish_timeout_s=_seconds(env, "PODSTREAM_ESTABLISH_TIMEOUT_SECONDS", 30.0),
            request_timeout_s=_seconds(env, "PODSTREAM_REQUEST_TIMEOUT_SECONDS", 10.0),
            max_connections=_whole(env, "PODSTREAM_MAX_CONNECTIONS", 256, low=1, high=100_000),
            log_level=_log_level(env.get("PODSTREAM_LOG_LEVEL", "INFO")),
            log_format=_log_format(env.get("PODSTREAM_LOG_FORMAT", "json")),
        )


def _required(env: Mapping[str, str], name: str) -> str:
    value = env.get(name, "")
    if not value:
        raise SettingsError(f"{name} is not set: the session pod's template must set it")
    return value


def _public_keys(text: str) -> PublicKeys:
    try:
        keys = PublicKeys.from_jwks(text)
    except ValueError as error:
        raise SettingsError(f"{names.ENV_PUBLIC_KEYS}: {error}") from error
    if not keys.by_kid:
        raise SettingsError(f"{names.ENV_PUBLIC_KEYS} holds no key")
    return keys


def _names(text: str | None) -> tuple[str, ...] | None:
    if not text:
        return None
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _whole(env: Mapping[str, str], name: str, default: int, *, low: int, high: int) -> int:
    text = env.get(name)
    if not text:
        return default
    try:
        value = int(text)
    except ValueError:
        value = low - 1
    if not low <= value <= high:
        raise SettingsError(f"{name} must be a whole number in {low}-{high}, not {text!r}")
    return value


def _port(env: Mapping[str, str], name: str, default: int) -> int:
    return _whole(env, name, default, low=0, high=65_535)


def _seconds(env: Mapping[str, str], name: str, default: float) -> float:
    text = env.get(name)
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value <= 86_400:  # noqa: PLR2004 - a day, in seconds
        raise SettingsError(f"{name} must be seconds in 0-86400, not {text!r}")
    return value


def _log_format(text: str) -> LogFormat:
    if text == "json":
        return "json"
    if text == "text":
        return "text"
    raise SettingsError(f"PODSTREAM_LOG_FORMAT must be json or text, not {text!r}")


def _log_level(text: str) -> str:
    levels = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
    if text.upper() not in levels:
        raise SettingsError(f"PODSTREAM_LOG_LEVEL must be one of {levels}, not {text!r}")
    return text.upper()
