import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from cryptography.hazmat.primitives import serialization

from fakes.fake_agent import description
from fakes.kube_api import running_kube_api
from podstream_core.api import SessionKey
from podstream_core.tokens import SigningKey
from podstream_router import hints as hints_module
from podstream_router.hints import Hints
from podstream_router.metrics import RouterMetrics
from podstream_router.operators import Operators
from router.harness import Harness, metric, running_router, session_route, until
from router.pools import Pool

SDP = {"Content-Type": "application/sdp"}


async def get(http: aiohttp.ClientSession, url: str) -> tuple[int, str]:
    async with http.get(url) as response:
        return response.status, await response.text()


async def test_router_is_ready_once_its_watches_are(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    assert (await get(http, router.admin_url("/healthz")))[0] == 200
    assert (await get(http, router.admin_url("/readyz")))[0] == 200
    router.router.watches[0].synced = False
    status, body = await get(http, router.admin_url("/readyz"))
    assert status == 503
    assert json.loads(body)["unsyncedWatches"] == ["sessions in lab"]
    assert (await get(http, router.admin_url("/healthz")))[0] == 200


async def test_router_without_a_media_address_is_not_ready(http: aiohttp.ClientSession) -> None:
    async with running_router(media_advertise=("no-such-name.invalid:3478",)) as router:
        status, body = await get(http, router.admin_url("/readyz"))
    assert status == 503
    assert json.loads(body)["mediaAddressKnown"] is False


async def test_every_metric_has_a_help_text_and_no_label_comes_from_a_client(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    await router.add()
    for path in ("/odd/path", "/s/lab/ball/whep"):
        await get(http, router.url(path))
    _, text = await get(http, router.admin_url("/metrics"))
    names = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    helped = {line.split()[2] for line in text.splitlines() if line.startswith("# HELP")}
    assert names == helped
    assert "podstream_router_watch_last_event_age_seconds" in names
    assert "podstream_router_media_packets_total" in names
    assert 'podstream_router_routes{kind="pod"} 1.0' in text
    assert "odd" not in text
    assert "ball" not in text


async def test_admin_paths_are_not_on_the_client_port(
    router: Harness, http: aiohttp.ClientSession
) -> None:
    assert (await get(http, router.url("/metrics")))[0] == 404


async def test_shutdown_refuses_held_connections_so_that_they_go_elsewhere(
    http: aiohttp.ClientSession,
) -> None:
    async with running_router(drain_timeout_s=5.0) as router:
        session = session_route()
        router.router.routes.upsert_session(session)
        headers = {**SDP, **router.bearer(session)}

        async def post() -> tuple[int, str]:
            async with http.post(
                router.url("/s/lab/ball/whep"), data=description("u" * 23), headers=headers
            ) as response:
                return response.status, response.headers["Retry-After"]

        held = asyncio.create_task(post())
        await until(lambda: router.router._held.count == 1)
        router.stop.set()
        assert await held == (503, "1")
        with pytest.raises(aiohttp.ClientConnectorError):
            await get(http, router.url("/"))


async def test_shutdown_lets_a_running_request_end(http: aiohttp.ClientSession) -> None:
    async with running_router(drain_timeout_s=5.0) as router:
        session, agent, _ = await router.add()
        agent.delay_s = 0.2
        headers = {**SDP, **router.bearer(session)}
        path = router.url("/s/lab/ball/whep")

        async def post() -> int:
            async with http.post(path, data=description("u" * 23), headers=headers) as response:
                return response.status

        running = asyncio.create_task(post())
        await until(lambda: agent.offers)
        router.stop.set()
        assert await running == 201


async def test_bound_connection_is_hinted_to_the_operator(http: aiohttp.ClientSession) -> None:
    hints: list[Any] = []

    async def take(request: web.Request) -> web.Response:
        hints.append(await request.json())
        return web.Response(status=202)

    app = web.Application()
    app.router.add_post("/hint", take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with running_router(operator_url=url) as router:
        session, _, _ = await router.add()
        headers = {**SDP, **router.bearer(session)}
        path = router.url("/s/lab/ball/whep")
        async with http.post(path, data=description("u" * 23), headers=headers) as response:
            assert response.status == 201
        await until(lambda: hints)
    await runner.cleanup()
    assert hints == [{"namespace": "lab", "name": "ball"}]


async def test_hints_are_bounded_and_an_absent_operator_harms_nothing(
    monkeypatch: pytest.MonkeyPatch, http: aiohttp.ClientSession
) -> None:
    monkeypatch.setattr(hints_module, "MAX_PENDING", 2)
    metrics = RouterMetrics()
    hints = Hints(Operators(http, url="http://127.0.0.1:1"), metrics=metrics)
    for name in ("a", "a", "b", "c"):
        hints.send(SessionKey("lab", name))

    def count(result: str) -> float:
        value = metrics.registry.get_sample_value(
            "podstream_router_hints_total", {"result": result}
        )
        return value or 0

    assert count("dropped") == 1
    task = asyncio.create_task(hints.run())
    await until(lambda: count("failed") == 2)
    task.cancel()
    await asyncio.wait({task})


async def test_adopted_pod_keeps_its_flows(router: Harness, http: aiohttp.ClientSession) -> None:
    pool = await Pool.create(router, warm=1)
    reply = await pool.connect(http)
    assert reply.status == 201
    (body,) = await pool.recorded(1)
    flows = router.router.relay.flows
    pod = pool.pods[0]
    flow = flows.admit(
        ("192.0.2.9", 1), ufrag="u", pod_uid=pod.uid, target=(pod.ip, 20000), now=0.0
    )
    pool.adopt(body)
    assert flow is not None
    assert flow.source in flows.tentative
    pool.lose(pool.agents[0])
    assert flow.source not in flows.tentative


async def test_pod_that_leaves_the_routes_ends_its_flows(router: Harness) -> None:
    _, _, pod = await router.add()
    flows = router.router.relay.flows
    flow = flows.admit(
        ("192.0.2.9", 1), ufrag="u", pod_uid=pod.uid, target=(pod.ip, 20000), now=0.0
    )
    router.router.routes.remove_pod(pod.uid)
    assert flow is not None
    assert flow.closed
    assert metric(router.router, "media_flows_ended_total", reason="pod_gone") == 1


def write_keys(folder: Path) -> None:
    for name in ("assignment.pem", "client.pem"):
        pem = SigningKey.generate().private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        (folder / name).write_bytes(pem)


def kubeconfig(folder: Path, url: str) -> Path:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "x",
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
        "clusters": [{"name": "x", "cluster": {"server": url}}],
        "users": [{"name": "x", "user": {"token": "t"}}],
    }
    path = folder / "kubeconfig"
    path.write_text(json.dumps(config))
    return path


async def test_process_serves_until_it_is_told_to_stop(tmp_path: Path) -> None:
    write_keys(tmp_path)
    async with running_kube_api() as api:
        listeners = [{"name": "http", "port": 0, "protocol": "http"}]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "podstream_router",
            env={
                "PATH": os.environ["PATH"],
                "KUBECONFIG": str(kubeconfig(tmp_path, api.url)),
                "POD_NAMESPACE": "lab",
                "PODSTREAM_KEYS_DIR": str(tmp_path),
                "PODSTREAM_LISTENERS": json.dumps(listeners),
                "PODSTREAM_BIND_ADDRESS": "127.0.0.1",
                "PODSTREAM_MEDIA_PORT": "0",
                "PODSTREAM_ADMIN_PORT": "0",
            },
            stderr=subprocess.PIPE,
        )
        assert process.stderr is not None
        seen: list[str] = []
        async with asyncio.timeout(20):
            while seen.count("watch synced") < 2 or "router started" not in seen:
                line = await process.stderr.readline()
                assert line, f"the router ended: {seen}"
                seen.append(json.loads(line)["message"])
            process.send_signal(signal.SIGTERM)
            rest = (await process.stderr.read()).decode().splitlines()
            assert await process.wait() == 0
        assert json.loads(rest[-1])["message"] == "router stopped"


def test_unusable_setting_ends_the_process_with_its_name(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "podstream_router"],
        env={"PATH": os.environ["PATH"], "POD_NAMESPACE": "lab", "PODSTREAM_KEYS_DIR": "/none"},
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert ended.returncode == 2
    assert "PODSTREAM_KEYS_DIR=/none" in ended.stderr
    assert "Traceback" not in ended.stderr
