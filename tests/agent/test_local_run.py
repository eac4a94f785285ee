import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest
import yaml

from agent.harness import TESTS, eventually


class LocalProcess:
    """`podstream-run` as a process."""

    def __init__(self, folder: Path, spec: dict[str, Any], *flags: str) -> None:
        self._folder = folder
        manifest = {
            "apiVersion": "podstream.dev/v1alpha1",
            "kind": "StreamSession",
            "metadata": {"name": "ball"},
            "spec": spec,
        }
        path = folder / "session.yaml"
        path.write_text(yaml.safe_dump(manifest))
        command = [sys.executable, "-m", "agent.echo_run", str(path)]
        if "--port" not in flags:
            command += ["--port", "0", "--signalling-port", "0"]
        with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
            self.popen = subprocess.Popen(
                [*command, *flags],
                env={**os.environ, "PYTHONPATH": str(TESTS)},
                stdout=out,
                stderr=err,
            )

    @property
    def said(self) -> str:
        return (self._folder / "err").read_text()

    async def says(self, pattern: str) -> str:
        """First group of a pattern in what was said, once it was."""
        found = await eventually(lambda: re.search(pattern, self.said), within_s=20)
        return str(found[1] if found.groups() else found[0])

    async def ends(self) -> int:
        async with asyncio.timeout(20):
            return await asyncio.to_thread(self.popen.wait)

    def report(self) -> Any:
        text = (self._folder / "out").read_text()
        return json.loads(text[text.index("{") :])


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Any]:
    started: list[LocalProcess] = []

    def start(spec: dict[str, Any], *flags: str) -> LocalProcess:
        process = LocalProcess(tmp_path, spec, *flags)
        started.append(process)
        return process

    yield start
    for process in started:
        process.popen.kill()
        process.popen.wait()


PUBLIC = {"access": {"mode": "Public"}, "listeners": ["signalling"]}


async def test_signalling_client_brings_a_finite_session_to_its_end(run: Any) -> None:
    process = run({"circle": {"frames": 2}, **PUBLIC})
    port = await process.says(r"signalling  127\.0\.0\.1:(\d+)")
    reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
    writer.write(b"one\ntwo\n")
    assert await reader.readline() == b"one\n"
    assert await process.ends() == 0
    writer.close()
    await writer.wait_closed()
    report = process.report()
    assert (report["session"], report["phase"]) == ("default/ball", "Completed")
    assert report["results"]["circle"]["framesScored"] == 2
    assert report["results"]["final"] is True
    assert "token" not in process.said


async def test_built_in_client_connects_with_the_token_and_ctrl_c_drains(run: Any) -> None:
    process = run({"circle": {}, "client": {"builtIn": True}})
    location = await process.says(r"client got 201 (\S+)")
    assert location.startswith("/s/default/ball/whep/")
    await process.says("phase       Connected")
    children = psutil.Process(process.popen.pid).children()
    assert len(children) == 2
    process.popen.send_signal(signal.SIGINT)
    assert await process.ends() == 1
    assert process.report()["failure"]["reason"] == "Drained"
    assert await eventually(lambda: not any(child.is_running() for child in children))


async def test_whep_needs_the_printed_token(run: Any) -> None:
    process = run({"circle": {}})
    url = await process.says(r"WHEP        (\S+)")
    token = await process.says(r"token       (\S+)")
    headers = {"Content-Type": "application/sdp"}
    async with aiohttp.ClientSession() as http:
        for wrong in ({}, {"Authorization": "Bearer x"}, {"Authorization": f"Basic {token}"}):
            async with http.post(url, data="v=0", headers=headers | wrong) as response:
                assert response.status == 401
                assert (await response.json())["error"] == "InvalidToken"
        headers["Authorization"] = f"Bearer {token}"
        async with http.post(url, data="v=0", headers=headers) as response:
            assert response.status == 201
            location = response.headers["Location"]
        session_url = url.removesuffix("/s/default/ball/whep") + location
        async with http.patch(session_url, data="a=candidate:1", headers=headers) as response:
            assert response.status == 204
        async with http.delete(session_url, headers=headers) as response:
            assert response.status == 200
    process.popen.send_signal(signal.SIGTERM)
    assert await process.ends() == 1


async def test_failing_client_fails_the_session(run: Any) -> None:
    process = run({"circle": {"estimator": {"minDist": 4096}}, "client": {"builtIn": True}})
    assert await process.ends() == 1
    report = process.report()
    assert report["failure"]["reason"] == "ClientFailed"
    assert "exit status 7" in report["failure"]["message"]


async def test_session_without_a_client_ends_by_its_idle_timeout(run: Any) -> None:
    process = run({"circle": {}, "idleTimeoutSeconds": 1})
    assert await process.ends() == 1
    assert process.report()["failure"]["reason"] == "IdleTimeout"


async def test_bad_spec_is_said_and_exits_2(run: Any) -> None:
    process = run({"circle": {"fsp": 3}})
    assert await process.ends() == 2
    assert "spec.circle.fsp: unknown field; did you mean fps?" in process.said
    assert "Traceback" not in process.said


async def test_port_that_is_taken_is_said_and_exits_2(run: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = run({"circle": {}}, "--port", str(taken.getsockname()[1]))
        assert await process.ends() == 2
    assert "address already in use" in process.said
    assert "Traceback" not in process.said
