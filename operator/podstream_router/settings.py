"""All settings of the router, read from the environment once."""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, Literal, Self, cast, get_args

import msgspec

from podstream_core.logs import LogFormat
from podstream_core.ports import (
    AGENT_CONNECT_PORT,
    AGENT_CONTROL_PORT,
    AGENT_STREAM_PORT,
    OPERATOR_HTTP_PORT,
    ROUTER_ADMIN_PORT,
)

ListenerProtocol = Literal["http", "signalling", "grpc", "tcp"]
ALL_NAMESPACES: Final = "*"
_NAMESPACE_FILE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")

_Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]


class SettingsError(Exception):
    """A setting cannot be used; the message names the variable and the fix."""


class Listener(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One TCP port that clients reach."""

    name: str
    """Name that sessions use in `spec.listeners`."""
    port: _Port
    """Port of the router's Service."""
    protocol: str
    target_port: _Port | None = None
    """Port of the listening socket; the Service's port without it."""

    @property
    def bind_port(self) -> int:
        """Port of the listening socket."""
        return self.port if self.target_port is None else self.target_port


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentPorts:
    """Where an agent listens; other values in tests only."""

    control: int = AGENT_CONTROL_PORT
    connect: int = AGENT_CONNECT_PORT
    stream: int = AGENT_STREAM_PORT


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds on what clients can make the router keep."""

    connections: int = 4096
    """Open TCP connections: of all HTTP listeners together, and of each signalling listener."""
    connections_per_source: int = 256
    """Open signalling connections and held requests of one source address. Behind a Service with
    `externalTrafficPolicy: Cluster` all clients of a node look alike."""
    held: int = 1024
    """Connections that wait for their pod, over all listeners."""
    sessions_per_namespace: int = 0
    """Living sessions of a namespace, above which pools take no connections there; 0: no limit."""
    requests_per_second: float = 50.0
    """WHEP, WHIP, viewers' and dashboard requests per source address; 0 switches the limit off."""
    dashboard_streams: int = 64
    """Open pages of the dashboard, each with a stream of changes."""
    flows: int = 8192
    """Media flows; each holds one file descriptor."""
    tentative_per_source: int = 256
    """Unconfirmed media flows of one source address."""
    tentative_per_ufrag: int = 4
    """Unconfirmed media flows for one ICE user name fragment."""
    tentative_per_pod: int = 16
    """Unconfirmed media flows to one pod."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the router is told from outside."""

    namespaces: tuple[str, ...]
    """Namespaces to watch; `("*",)` watches all."""
    keys_dir: Path = Path("/etc/podstream/keys")
    """Folder with assignment.pem and client.pem, and optional *-previous.pem."""
    listeners: tuple[Listener, ...] = (
        Listener(name="http", port=8080, protocol="http"),
        Listener(name="signalling", port=50052, protocol="signalling"),
    )
    bind_address: str = "0.0.0.0"
    """Address of every listening socket; `::` for both families."""
    tls_dir: Path | None = None
    """Folder with tls.crt and tls.key: gRPC listeners then take TLS beside cleartext."""
    tls_required: bool = False
    """Whether gRPC listeners refuse cleartext."""
    media_port: int = 3478
    """UDP port of all media."""
    media_advertise: tuple[str, ...] = ("127.0.0.1:3478",)
    """`host:port` of that port as clients reach it, most preferred first; names are resolved."""
    operator_url: str | None = None
    """Base URL of the operator, for hints and demand; without it none are sent. Its host may
    resolve to several replicas, of which the leader listens."""
    router_name: str = "router"
    """Name of this replica: its pod's."""
    peers: tuple[str, ...] = ()
    """`host:port` of the other replicas' admin ports; one name may stand for many addresses."""
    hold_timeout_s: float = 60.0
    """Seconds a connection waits for its pod; then it is refused."""
    drain_timeout_s: float = 20.0
    """Seconds that open connections get after SIGTERM."""
    flow_idle_s: float = 30.0
    """Seconds after which a silent media flow is forgotten (ICE consent fails after 30 s)."""
    admin_port: int = ROUTER_ADMIN_PORT
    """Health and metrics."""
    cors_origin: str = "*"
    """`Access-Control-Allow-Origin` of WHEP answers. Clients authenticate by a bearer token and
    never by cookies, so any page may ask."""
    admin_login: bool = True
    """Whether the dashboard takes tokens of Kubernetes beside those of sessions."""
    limits: Limits = field(default_factory=Limits)
    agent_ports: AgentPorts = field(default_factory=AgentPorts)
    log_level: str = "INFO"
    log_format: LogFormat = "json"

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read the environment.

        Raises:
            SettingsError: a variable has a value that cannot be used.
        """
        env = _Environment(os.environ if environ is None else environ)
        defaults = cls(namespaces=())
        log_format = env.text("LOG_FORMAT", "json")
        if log_format not in get_args(LogFormat):
            raise SettingsError(f"PODSTREAM_LOG_FORMAT must be json or text, not {log_format!r}")
        tls_dir = env.text("TLS_DIR", "")
        return cls(
            namespaces=env.namespaces(),
            keys_dir=Path(env.text("KEYS_DIR", str(defaults.keys_dir))),
            listeners=env.listeners(defaults.listeners),
            bind_address=env.text("BIND_ADDRESS", defaults.bind_address),
            tls_dir=Path(tls_dir) if tls_dir else None,
            tls_required=env.flag("TLS_REQUIRED", needs=tls_dir),
            media_port=env.integer("MEDIA_PORT", defaults.media_port, low=0, high=65535),
            media_advertise=env.advertise(defaults.media_advertise),
            operator_url=env.operator_url(),
            peers=env.peers(),
            router_name=env.router_name(),
            hold_timeout_s=env.number("HOLD_TIMEOUT_SECONDS", defaults.hold_timeout_s),
            drain_timeout_s=env.number("DRAIN_SECONDS", defaults.drain_timeout_s),
            flow_idle_s=env.number("FLOW_IDLE_SECONDS", defaults.flow_idle_s),
            admin_port=env.integer("ADMIN_PORT", defaults.admin_port, low=0, high=65535),
            cors_origin=env.text("CORS_ORIGIN", defaults.cors_origin),
            admin_login=env.switch("DASHBOARD_ADMIN_LOGIN", default=defaults.admin_login),
            limits=env.limits(),
            log_level=env.text("LOG_LEVEL", defaults.log_level),
            log_format=cast("LogFormat", log_format),
        )


def split_address(text: str, *, variable: str) -> tuple[str, int]:
    """Read `host:port` or `[address]:port`.

    Raises:
        SettingsError: the text has no usable port.
    """
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) <= 65535:  # noqa: PLR2004
        raise SettingsError(f"{variable}: {text!r} is not host:port")
    return host, int(port)


class _Environment:
    """Reads variables with the prefix PODSTREAM_; an empty one counts as unset."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def text(self, name: str, default: str) -> str:
        return self._environ.get(f"PODSTREAM_{name}", "").strip() or default

    def number(self, name: str, default: float) -> float:
        text = self.text(name, str(default))
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not 0 <= value < 1e6:  # noqa: PLR2004 - also refuses nan and inf
            raise SettingsError(f"PODSTREAM_{name} must be a number of 0 or more, not {text!r}")
        return value

    def integer(self, name: str, default: int, *, low: int, high: int) -> int:
        text = self.text(name, str(default))
        if not text.isdecimal() or not low <= int(text) <= high:
            raise SettingsError(f"PODSTREAM_{name} must be a number {low}..{high}, not {text!r}")
        return int(text)

    def switch(self, name: str, *, default: bool) -> bool:
        text = self.text(name, str(default).lower())
        if text not in ("true", "false"):
            raise SettingsError(f"PODSTREAM_{name} must be true or false, not {text!r}")
        return text == "true"

    def flag(self, name: str, *, needs: str) -> bool:
        text = self.text(name, "false")
        if text not in ("true", "false"):
            raise SettingsError(f"PODSTREAM_{name} must be true or false, not {text!r}")
        if text == "true" and not needs:
            raise SettingsError(f"PODSTREAM_{name} needs a certificate: set PODSTREAM_TLS_DIR")
        return text == "true"

    def namespaces(self) -> tuple[str, ...]:
        names = [name.strip() for name in self.text("WATCH_NAMESPACES", "").split(",")]
        given = tuple(dict.fromkeys(name for name in names if name))
        if ALL_NAMESPACES in given:
            return (ALL_NAMESPACES,)
        if given:
            return given
        own = self._environ.get("POD_NAMESPACE", "").strip()
        if not own and _NAMESPACE_FILE.exists():
            own = _NAMESPACE_FILE.read_text().strip()
        if not own:
            raise SettingsError(
                "no namespace to watch: set PODSTREAM_WATCH_NAMESPACES (comma list, * for all) "
                "or POD_NAMESPACE"
            )
        return (own,)

    def listeners(self, default: tuple[Listener, ...]) -> tuple[Listener, ...]:
        text = self.text("LISTENERS", "")
        if not text:
            return default
        try:
            listeners = msgspec.json.decode(text, type=tuple[Listener, ...])
        except msgspec.DecodeError as error:
            raise SettingsError(f"PODSTREAM_LISTENERS: {error}") from error
        known = get_args(ListenerProtocol)
        for listener in listeners:
            if listener.protocol not in known:
                raise SettingsError(
                    f"PODSTREAM_LISTENERS: listener {listener.name!r} has the unknown protocol "
                    f"{listener.protocol!r}; known are {', '.join(known)}"
                )
        names = [listener.name for listener in listeners]
        if len(set(names)) != len(names):
            raise SettingsError("PODSTREAM_LISTENERS: two listeners have the same name")
        bound = [item.bind_port for item in listeners if item.bind_port]
        if len(set(bound)) != len(bound):
            raise SettingsError("PODSTREAM_LISTENERS: two listeners have the same targetPort")
        return listeners

    def advertise(self, default: tuple[str, ...]) -> tuple[str, ...]:
        text = self.text("MEDIA_ADVERTISE", "")
        if not text:
            return default
        try:
            addresses = msgspec.json.decode(text, type=tuple[str, ...])
        except msgspec.DecodeError as error:
            raise SettingsError(f"PODSTREAM_MEDIA_ADVERTISE: {error}") from error
        if not addresses:
            raise SettingsError("PODSTREAM_MEDIA_ADVERTISE must name at least one host:port")
        for address in addresses:
            split_address(address, variable="PODSTREAM_MEDIA_ADVERTISE")
        return addresses

    def operator_url(self) -> str | None:
        url = self.text("OPERATOR_URL", "").rstrip("/")
        if url and not url.startswith(("http://", "https://")):
            raise SettingsError(
                f"PODSTREAM_OPERATOR_URL must look like http://podstream-operator:"
                f"{OPERATOR_HTTP_PORT}, not {url!r}"
            )
        return url or None

    def router_name(self) -> str:
        """Kubernetes sets a container's host name to the name of its pod."""
        return self._environ.get("POD_NAME", "").strip() or socket.gethostname()

    def peers(self) -> tuple[str, ...]:
        peers = tuple(item.strip() for item in self.text("PEERS", "").split(",") if item.strip())
        for peer in peers:
            split_address(peer, variable="PODSTREAM_PEERS")
        return peers

    def limits(self) -> Limits:
        default = Limits()

        def count(name: str, value: int) -> int:
            return self.integer(name, value, low=1, high=10_000_000)

        return Limits(
            connections=count("MAX_CONNECTIONS", default.connections),
            connections_per_source=count(
                "MAX_CONNECTIONS_PER_SOURCE", default.connections_per_source
            ),
            held=count("MAX_HELD", default.held),
            sessions_per_namespace=self.integer(
                "MAX_SESSIONS_PER_NAMESPACE",
                default.sessions_per_namespace,
                low=0,
                high=10_000_000,
            ),
            requests_per_second=self.number("MAX_REQUESTS_PER_SECOND", default.requests_per_second),
            dashboard_streams=count("MAX_DASHBOARD_STREAMS", default.dashboard_streams),
            flows=count("MAX_FLOWS", default.flows),
            tentative_per_source=count(
                "MAX_TENTATIVE_FLOWS_PER_SOURCE", default.tentative_per_source
            ),
            tentative_per_ufrag=count("MAX_TENTATIVE_FLOWS_PER_UFRAG", default.tentative_per_ufrag),
            tentative_per_pod=count("MAX_TENTATIVE_FLOWS_PER_POD", default.tentative_per_pod),
        )
