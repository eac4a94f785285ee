"""The operator's settings; the only place of this package that reads the environment."""

import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, get_args
from uuid import uuid4

from podstream_core.logs import LogFormat
from podstream_core.ports import LISTENERS, OPERATOR_HTTP_PORT
from podstream_operator.errors import ConfigError
from podstream_operator.facts import Site
from podstream_operator.leader import LeaseTiming
from podstream_operator.resources.quantities import parse_quantity

DEFAULT_RESOURCES = {
    "requests": {"cpu": "250m", "memory": "256Mi", "ephemeral-storage": "64Mi"},
    "limits": {"cpu": "2", "memory": "1Gi", "ephemeral-storage": "512Mi"},
}
_PORTS = {listener.name: listener.port for listener in LISTENERS}


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorSettings:
    """Everything the operator is told from outside."""

    namespace: str
    """Namespace that the operator runs in."""
    namespaces: tuple[str, ...]
    """Namespaces whose sessions it serves."""
    site: Site
    """Addresses of the router."""
    session_image: str
    """Image of session and client pods."""
    tracking_image: str = ""
    """Image of session pods with `spec.tracking`; empty: the other one, which must have it all."""
    session_image_pull_policy: str = "IfNotPresent"
    session_requests: Mapping[str, str] = field(
        default_factory=lambda: dict(DEFAULT_RESOURCES["requests"])
    )
    """Default requests of session pods, as Kubernetes quantities."""
    session_limits: Mapping[str, str] = field(
        default_factory=lambda: dict(DEFAULT_RESOURCES["limits"])
    )
    """Default limits of session pods, as Kubernetes quantities."""
    keys_dir: Path = Path("/etc/podstream/keys")
    """Folder with `assignment.pem` and `client.pem`."""
    http_host: str | None = None
    """Address of the HTTP server; `None`: all, IPv4 and IPv6."""
    http_port: int = OPERATOR_HTTP_PORT
    """Port of health, metrics and hints; 0: any free port, named in the log."""
    instance: str = "podstream-operator"
    """Name of this process in Kubernetes Events."""
    lease_name: str = "podstream-operator"
    """Lease in `namespace`; of all processes that name it, one works."""
    lease_identity: str = field(default_factory=lambda: f"podstream-operator_{uuid4()}")
    """Names this process in the Lease. A pod's name and UID: its containers never run at the same
    time, so that a container that was started again need not wait for the one before it."""
    lease_timing: LeaseTiming = field(default_factory=LeaseTiming)
    workers: int = 16
    """Sessions that are reconciled at the same time."""
    resync_seconds: float = 60.0
    """Seconds between two lists that find what a watch has missed, and orphans."""
    pool_max_starting: int = 10
    """Pods of one pool that may be starting at a time."""
    max_sessions_per_namespace: int = 0
    """Sessions of a namespace that have not ended; 0: no limit."""
    log_level: str = "INFO"
    log_format: LogFormat = "json"

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None, *, own_namespace: str) -> Self:
        """Read the environment.

        Args:
            env: variables; those of the process by default.
            own_namespace: where the operator runs, unless POD_NAMESPACE says so.

        Raises:
            ConfigError: something is missing or cannot be read; the message names the variable.
        """
        env = os.environ if env is None else env
        namespace = env.get("POD_NAMESPACE") or own_namespace
        instance = env.get("POD_NAME") or socket.gethostname()
        router_host = f"podstream-router.{namespace}.svc"
        requests, limits = _resources(env.get("PODSTREAM_SESSION_RESOURCES"))
        return cls(
            namespace=namespace,
            namespaces=_namespaces(env.get("PODSTREAM_WATCH_NAMESPACES", ""), own=namespace),
            site=Site(
                external_url=_url(
                    env, "PODSTREAM_EXTERNAL_URL", f"http://127.0.0.1:{_PORTS['http']}"
                ),
                cluster_url=_url(
                    env, "PODSTREAM_ROUTER_URL", f"http://{router_host}:{_PORTS['http']}"
                ),
                signalling_address=env.get("PODSTREAM_SIGNALLING_ADDRESS")
                or f"127.0.0.1:{_PORTS['signalling']}",
                signalling_cluster_address=env.get("PODSTREAM_SIGNALLING_CLUSTER_ADDRESS")
                or f"{router_host}:{_PORTS['signalling']}",
                grpc_address=env.get("PODSTREAM_GRPC_ADDRESS", ""),
                grpc_cluster_address=env.get("PODSTREAM_GRPC_CLUSTER_ADDRESS", ""),
                frames_address=env.get("PODSTREAM_FRAMES_ADDRESS", ""),
                frames_cluster_address=env.get("PODSTREAM_FRAMES_CLUSTER_ADDRESS", ""),
            ),
            session_image=_required(env, "PODSTREAM_SESSION_IMAGE"),
            tracking_image=env.get("PODSTREAM_TRACKING_IMAGE", ""),
            session_image_pull_policy=_choice(
                env,
                "PODSTREAM_SESSION_IMAGE_PULL_POLICY",
                ("IfNotPresent", "Always", "Never"),
                default="IfNotPresent",
            ),
            session_requests=requests,
            session_limits=limits,
            keys_dir=Path(env.get("PODSTREAM_KEYS_DIR") or "/etc/podstream/keys"),
            http_port=_whole(env, "PODSTREAM_HTTP_PORT", OPERATOR_HTTP_PORT, low=0, high=65_535),
            instance=instance,
            lease_name=env.get("PODSTREAM_LEASE_NAME") or "podstream-operator",
            lease_identity=f"{instance}_{env.get('POD_UID') or uuid4()}",
            workers=_whole(env, "PODSTREAM_WORKERS", 16, low=1, high=256),
            resync_seconds=_whole(env, "PODSTREAM_RESYNC_SECONDS", 60, low=5, high=3600),
            pool_max_starting=_whole(env, "PODSTREAM_POOL_MAX_STARTING", 10, low=1, high=500),
            max_sessions_per_namespace=_whole(
                env, "PODSTREAM_MAX_SESSIONS_PER_NAMESPACE", 0, low=0, high=1_000_000
            ),
            log_level=env.get("PODSTREAM_LOG_LEVEL") or "INFO",
            log_format=_log_format(env),
        )


def _required(env: Mapping[str, str], name: str) -> str:
    value = env.get(name, "")
    if not value:
        raise ConfigError(f"{name} is not set")
    return value


def _namespaces(text: str, *, own: str) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    return found or (own,)


def _url(env: Mapping[str, str], name: str, default: str) -> str:
    value = (env.get(name) or default).rstrip("/")
    if not value.startswith(("http://", "https://")):
        raise ConfigError(f"{name} must be an http(s) URL, not {value!r}")
    return value


def _choice(env: Mapping[str, str], name: str, choices: tuple[str, ...], *, default: str) -> str:
    value = env.get(name) or default
    if value not in choices:
        raise ConfigError(f"{name} must be one of {', '.join(choices)}, not {value!r}")
    return value


def _log_format(env: Mapping[str, str]) -> LogFormat:
    value = _choice(env, "PODSTREAM_LOG_FORMAT", get_args(LogFormat), default="json")
    return "text" if value == "text" else "json"


def _whole(env: Mapping[str, str], name: str, default: int, *, low: int, high: int) -> int:
    text = env.get(name)
    if not text:
        return default
    try:
        value = int(text)
    except ValueError:
        value = low - 1
    if not low <= value <= high:
        raise ConfigError(f"{name} must be a whole number in {low}-{high}, not {text!r}")
    return value


def _resources(text: str | None) -> tuple[dict[str, str], dict[str, str]]:
    """Requests and limits; an empty variable means the defaults."""
    name = "PODSTREAM_SESSION_RESOURCES"
    try:
        value: Any = json.loads(text) if text else DEFAULT_RESOURCES
        if not isinstance(value, dict):
            raise ValueError("it is no object")
        parts = []
        for part in ("requests", "limits"):
            quantities = {key: str(item) for key, item in (value.get(part) or {}).items()}
            for quantity in quantities.values():
                parse_quantity(quantity)
            parts.append(quantities)
    except (ValueError, AttributeError) as error:
        raise ConfigError(
            f'{name} must be JSON like {{"requests": {{…}}, "limits": {{…}}}}: {error}'
        ) from error
    return parts[0], parts[1]
