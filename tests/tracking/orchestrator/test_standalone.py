"""`python -m podstream_workloads.tracking`: the original container's environment, flags and TLS."""

import asyncio
import datetime
import json
import os
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from podstream_workloads.tracking.__main__ import Exit, WrongEnvironment, main, settings_from
from tracking.orchestrator.keys import AUDIENCE, CLIENT, PROCESSOR, private_key, public_pem, token

PATIENCE_S = 60


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@pytest.fixture
def certificate(tmp_path: Path) -> dict[str, str]:
    """A certificate for localhost and its key, as the environment names them."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private_key().public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .sign(private_key(), hashes.SHA256())
    )
    files = {"SSL_CERT": tmp_path / "tls.crt", "SSL_KEY": tmp_path / "tls.key"}
    files["SSL_CERT"].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    files["SSL_KEY"].write_bytes(
        private_key().private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return {key: str(path) for key, path in files.items()}


@asynccontextmanager
async def running(
    *flags: str, environment: dict[str, str] | None = None
) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """The program, once it answers; the process and its HTTP port."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "podstream_workloads.tracking", "--host", "127.0.0.1"),
        *("--http-port", str(port), *flags),
        env=os.environ | (environment or {}),
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(PATIENCE_S), aiohttp.ClientSession() as session:
            while True:
                assert process.returncode is None, "the program has ended"
                try:
                    async with session.get(f"http://127.0.0.1:{port}/objectIds"):
                        break
                except aiohttp.ClientConnectionError:
                    await asyncio.sleep(0.05)
        yield process, port
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE_S):
            assert await process.wait() == Exit.STOPPED


async def test_http_and_https_with_a_certificate(certificate: dict[str, str]) -> None:
    tls_port = free_port()
    context = ssl.create_default_context(cafile=certificate["SSL_CERT"])
    context.check_hostname = False
    async with (
        running("--https-port", str(tls_port), environment=certificate) as (_, port),
        aiohttp.ClientSession() as session,
        session.ws_connect(f"ws://127.0.0.1:{port}/processor") as gate,
        session.ws_connect(f"wss://127.0.0.1:{tls_port}/client", ssl=context) as client,
        asyncio.timeout(PATIENCE_S),
    ):
        await gate.send_json({"type": "identifier", "id": "gate"})
        await gate.send_json({"type": "hello"})
        assert (await gate.receive_json())["type"] == "hello"
        await client.send_json({"type": "setUsesImages", "usesImages": True})
        await client.send_json({"type": "start", "cameraId": "gate", "image": "A" * 300_000})
        assert (await gate.receive_json())["objectId"] == 1
        assert await client.receive_json() == {
            "type": "newObject",
            "objectId": 1,
            "image": "A" * 300_000,
        }
        async with session.get(f"https://127.0.0.1:{tls_port}/objectIds", ssl=context) as response:
            assert await response.text() == '{"data":[1]}'


async def test_the_timeout_and_roles_of_the_environment(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_text(public_pem())
    environment = {
        "PUBLIC_KEY": str(key),
        "AUDIENCE": AUDIENCE,
        "CLIENT_ROLE": CLIENT,
        "PROCESSOR_ROLE": PROCESSOR,
        "TRACKING_TIMEOUT": "1",
    }
    async with (
        running(environment=environment) as (_, port),
        aiohttp.ClientSession() as session,
        session.ws_connect(f"ws://127.0.0.1:{port}/processor") as gate,
        session.ws_connect(f"ws://127.0.0.1:{port}/client") as client,
        asyncio.timeout(PATIENCE_S),
    ):
        await gate.send_json({"type": "authenticate", "jwt": token(PROCESSOR)})
        await gate.send_json({"type": "identifier", "id": "gate"})
        await gate.send_json({"type": "hello"})
        assert (await gate.receive_json())["type"] == "hello"
        await client.send_json({"type": "authenticate", "jwt": token(CLIENT)})
        await client.send_json({"type": "setUsesImages", "usesImages": True})
        await client.send_json({"type": "start", "cameraId": "gate", "frameId": 5.0, "boxId": 0})
        assert await client.receive_json() == {"type": "newObject", "objectId": 1}
        assert await client.receive_json() == {"type": "stop", "objectId": 1}
        async with session.get(f"http://127.0.0.1:{port}/objectIds") as response:
            assert response.status == 200  # open, as in the original


async def test_a_database_keeps_ids_over_a_kill(tmp_path: Path) -> None:
    database = tmp_path / "site.sqlite3"
    for expected in (1, 2):
        async with running("--database", str(database)) as (process, port):
            async with (
                aiohttp.ClientSession() as session,
                session.ws_connect(f"ws://127.0.0.1:{port}/processor") as gate,
                session.ws_connect(f"ws://127.0.0.1:{port}/client") as client,
                asyncio.timeout(PATIENCE_S),
            ):
                await gate.send_json({"type": "identifier", "id": "gate"})
                await gate.send_json({"type": "hello"})
                while (await gate.receive_json())["type"] != "hello":
                    pass
                await client.send_json({"type": "start", "cameraId": "gate", "image": "x"})
                assert (await gate.receive_json())["objectId"] == expected
                process.kill()
                await process.wait()
            process._transport._returncode = Exit.STOPPED  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("missing", "clients", "processors"),
    [
        ((), True, True),
        (("PUBLIC_KEY",), False, False),
        (("AUDIENCE",), False, False),
        (("CLIENT_ROLE",), False, True),
        (("PROCESSOR_ROLE",), True, False),
        (("CLIENT_ROLE", "PROCESSOR_ROLE"), False, False),
    ],
)
def test_who_must_authenticate(
    missing: tuple[str, ...], clients: bool, processors: bool, tmp_path: Path
) -> None:
    key = tmp_path / "key.pem"
    key.write_text(public_pem())
    environment = {
        "PUBLIC_KEY": str(key),
        "AUDIENCE": "a",
        "CLIENT_ROLE": "c",
        "PROCESSOR_ROLE": "p",
    }
    for name in missing:
        environment[name] = ""
    settings = settings_from(environment)
    auth = settings.auth
    assert settings.compat
    assert (auth is not None and auth.client_role is not None) == clients
    assert (auth is not None and auth.processor_role is not None) == processors


@pytest.mark.parametrize(
    "environment",
    [
        pytest.param({"TRACKING_TIMEOUT": "ten"}, id="timeout"),
        pytest.param({"TRACKING_TIMEOUT": "-1"}, id="negative timeout"),
        pytest.param({"PUBLIC_KEY": "/nowhere", "AUDIENCE": "a"}, id="key"),
        pytest.param({"SSL_CERT": "/nowhere", "SSL_KEY": "/nowhere"}, id="certificate"),
    ],
)
def test_a_wrong_environment_is_said(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for key, value in environment.items():
        monkeypatch.setenv(key, value)
    if "SSL_CERT" not in environment:
        with pytest.raises(WrongEnvironment):
            settings_from(environment)
    assert main(["--http-port", "0"]) == Exit.WRONG
    assert next(iter(environment)) in capsys.readouterr().err


def test_a_timeout_and_nothing_else() -> None:
    assert settings_from({}).max_tracked_s == 0
    assert settings_from({"TRACKING_TIMEOUT": "30"}).max_tracked_s == 30
    assert json.dumps(settings_from({}).origins) == '["*"]'
