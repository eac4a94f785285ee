import json
import socket
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from podstream_core.ports import LISTENERS
from podstream_core.tokens import SigningKey
from podstream_router.keys import Keys
from podstream_router.settings import Settings, SettingsError

BASE = {"POD_NAMESPACE": "lab"}


def read(**variables: str) -> Settings:
    prefixed = {f"PODSTREAM_{name}": value for name, value in variables.items()}
    return Settings.from_env({**BASE, **prefixed})


def test_own_namespace_is_watched_by_default() -> None:
    assert read().namespaces == ("lab",)
    assert read(WATCH_NAMESPACES="").namespaces == ("lab",)


def test_namespaces_are_a_list_and_a_star_means_all() -> None:
    assert read(WATCH_NAMESPACES="a, b,a").namespaces == ("a", "b")
    assert read(WATCH_NAMESPACES="a,*").namespaces == ("*",)


def test_listener_binds_its_target_port() -> None:
    listeners = [{"name": "web", "port": 80, "protocol": "http", "targetPort": 8080}]
    (listener,) = read(LISTENERS=json.dumps(listeners)).listeners
    assert (listener.port, listener.bind_port) == (80, 8080)


def test_every_protocol_of_the_port_table_is_accepted() -> None:
    listeners = [
        {"name": item.name, "port": item.port, "protocol": item.protocol}
        for item in LISTENERS
        if item.transport == "TCP"
    ]
    assert len(read(LISTENERS=json.dumps(listeners)).listeners) == len(listeners)


def test_limits_are_read() -> None:
    settings = read(MAX_FLOWS="7", MAX_REQUESTS_PER_SECOND="0", HOLD_TIMEOUT_SECONDS="1.5")
    assert settings.limits.flows == 7
    assert settings.limits.requests_per_second == 0
    assert settings.hold_timeout_s == 1.5


def test_tls_is_off_until_a_certificate_is_named() -> None:
    assert (read().tls_dir, read().tls_required) == (None, False)
    settings = read(TLS_DIR="/etc/podstream/tls", TLS_REQUIRED="true")
    assert (settings.tls_dir, settings.tls_required) == (Path("/etc/podstream/tls"), True)
    for variables in ({"TLS_REQUIRED": "true"}, {"TLS_DIR": "/x", "TLS_REQUIRED": "yes"}):
        with pytest.raises(SettingsError, match="PODSTREAM_TLS_REQUIRED"):
            read(**variables)


def test_sessions_per_namespace_are_unlimited_unless_said() -> None:
    assert read().limits.sessions_per_namespace == 0
    assert read(MAX_SESSIONS_PER_NAMESPACE="40").limits.sessions_per_namespace == 40


def test_replica_is_called_as_its_pod() -> None:
    assert Settings.from_env({**BASE, "POD_NAME": "router-5d4f"}).router_name == "router-5d4f"
    assert read().router_name == socket.gethostname()


def listeners(*items: dict[str, Any]) -> str:
    return json.dumps([{"name": "a", "port": 1, "protocol": "http", **item} for item in items])


@pytest.mark.parametrize(
    ("variable", "value", "fault"),
    [
        pytest.param(
            "LISTENERS",
            listeners({"protocol": "smtp"}),
            "known are http, signalling, grpc, tcp",
            id="unknown-protocol",
        ),
        pytest.param("LISTENERS", "{", "PODSTREAM_LISTENERS", id="no-json"),
        pytest.param("LISTENERS", '[{"name": "a"}]', "port", id="no-port"),
        pytest.param("LISTENERS", listeners({}, {"port": 2}), "same name", id="same-name"),
        pytest.param("LISTENERS", listeners({}, {"name": "b"}), "same targetPort", id="same-port"),
        pytest.param("MEDIA_ADVERTISE", '["127.0.0.1"]', "host:port", id="no-media-port"),
        pytest.param("MEDIA_ADVERTISE", "[]", "at least one", id="nothing-advertised"),
        pytest.param("MEDIA_ADVERTISE", "127.0.0.1:1", "MEDIA_ADVERTISE", id="no-list"),
        pytest.param("MEDIA_PORT", "70000", "MEDIA_PORT", id="port-too-high"),
        pytest.param("HOLD_TIMEOUT_SECONDS", "soon", "HOLD_TIMEOUT", id="no-number"),
        pytest.param("HOLD_TIMEOUT_SECONDS", "nan", "HOLD_TIMEOUT", id="not-a-number"),
        pytest.param("MAX_FLOWS", "0", "MAX_FLOWS", id="no-flows"),
        pytest.param("OPERATOR_URL", "podstream-operator", "OPERATOR_URL", id="no-url"),
        pytest.param("LOG_FORMAT", "xml", "LOG_FORMAT", id="unknown-format"),
    ],
)
def test_unusable_setting_is_named(variable: str, value: str, fault: str) -> None:
    with pytest.raises(SettingsError, match=fault):
        read(**{variable: value})


def test_no_namespace_is_an_error() -> None:
    with pytest.raises(SettingsError, match="PODSTREAM_WATCH_NAMESPACES"):
        Settings.from_env({})


def write_key(folder: Path, name: str) -> SigningKey:
    key = SigningKey.generate()
    pem = key.private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (folder / name).write_bytes(pem)
    return key


def test_keys_are_loaded_with_their_predecessors(tmp_path: Path) -> None:
    current = write_key(tmp_path, "assignment.pem")
    client = write_key(tmp_path, "client.pem")
    keys = Keys.load(tmp_path)
    assert [key.kid for key in keys.signers] == [current.kid]
    assert set(keys.client.by_kid) == {client.kid}

    previous = write_key(tmp_path, "assignment-previous.pem")
    old_client = write_key(tmp_path, "client-previous.pem")
    keys = Keys.load(tmp_path)
    assert [key.kid for key in keys.signers] == [current.kid, previous.kid]
    assert set(keys.client.by_kid) == {client.kid, old_client.kid}


def test_missing_or_foreign_key_is_named(tmp_path: Path) -> None:
    write_key(tmp_path, "assignment.pem")
    with pytest.raises(SettingsError, match=r"client key .* Secret"):
        Keys.load(tmp_path)
    pem = generate_private_key(SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (tmp_path / "client.pem").write_bytes(pem)
    with pytest.raises(SettingsError, match="Ed25519"):
        Keys.load(tmp_path)


def test_peers_are_a_list_of_addresses() -> None:
    assert read().peers == ()
    assert read(PEERS="router-peers.lab:8082, 192.0.2.1:8082").peers == (
        "router-peers.lab:8082",
        "192.0.2.1:8082",
    )
    with pytest.raises(SettingsError, match="PODSTREAM_PEERS"):
        read(PEERS="router-peers.lab")
