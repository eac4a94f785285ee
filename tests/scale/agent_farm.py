"""The agents of all simulated pods as one process: one server behind every pod's address.

KWOK gives its pods addresses of a range, and this server's network namespace takes the whole range
as its own, so the operator's calls to any pod arrive here. Which pod is meant is the address that
the caller dialled; its UID is learnt from the first token's audience, and the token is then checked
as a real agent checks it, signature and all.

    python -m scale.agent_farm --keys JWKS-FILE --hints http://127.0.0.1:8081/hint

The second port is the test's: POST /move {"phase", "rate"} takes every agent to a phase, one after
another at a steady rate, and hints the operator for each as a router does; it answers at the end.
GET /counts tells agents by phase and the calls so far.
"""

import argparse
import asyncio
from collections import Counter
from pathlib import Path
from typing import Final

import aiohttp
import jwt
import uvloop
from aiohttp import web

from fakes.agent import FakeAgent
from podstream_core.agentapi import AgentPhase
from podstream_core.api import CircleResults, Results
from podstream_core.ports import AGENT_CONTROL_PORT
from podstream_core.tokens import PublicKeys

ADMIN_PORT: Final = 9499
_AUDIENCE_PREFIX: Final = "pod:"
FIGURES: Final = CircleResults(frames_scored=600, rmse_px=0.25)


class AgentFarm:
    """Agents by address."""

    def __init__(self, keys: PublicKeys, *, hints: str) -> None:
        self._keys = keys
        self._hints = hints
        self.agents: dict[str, FakeAgent] = {}
        self.calls: Counter[str] = Counter()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer for the pod whose address was dialled."""
        assert request.transport is not None
        address: str = request.transport.get_extra_info("sockname")[0]
        self.calls[f"{request.method} {request.path}"] += 1
        uid = await _pod_uid(request)
        agent = self.agents.get(address)
        if agent is None or agent.state.pod_uid != uid:
            # A freed address has gone to another pod.
            agent = self.agents[address] = FakeAgent(uid, keys=self._keys)
        return await agent.handle(request)

    async def move(self, phase: AgentPhase, *, rate: float) -> int:
        """Take every assigned agent to a phase, `rate` of them a second; how many there were."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        chosen = [agent for agent in self.agents.values() if agent.state.session is not None]
        async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as group:
            for number, agent in enumerate(chosen):
                await asyncio.sleep(begun + number / rate - loop.time())
                if phase is AgentPhase.COMPLETED:
                    agent.measure(Results(final=True, circle=FIGURES))
                agent.move(phase)
                group.create_task(self._hint(http, agent))
        return len(chosen)

    async def _hint(self, http: aiohttp.ClientSession, agent: FakeAgent) -> None:
        session = agent.state.session
        assert session is not None
        body = {"namespace": session.namespace, "name": session.name}
        async with http.post(self._hints, json=body) as response:
            self.calls[f"hint {response.status}"] += 1

    async def post_move(self, request: web.Request) -> web.Response:
        """The test's way to `move`."""
        body = await request.json()
        moved = await self.move(AgentPhase(body["phase"]), rate=float(body["rate"]))
        return web.json_response({"moved": moved})

    async def get_counts(self, _request: web.Request) -> web.Response:
        """What there is and what was asked."""
        phases = Counter(agent.state.phase.value for agent in self.agents.values())
        return web.json_response({"phases": phases, "calls": self.calls})


async def _pod_uid(request: web.Request) -> str:
    """The pod that a token is for; not proven yet, the agent checks it."""
    token = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if not token:
        token = (await request.json())["token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    return str(claims["aud"]).removeprefix(_AUDIENCE_PREFIX)


async def serve(farm: AgentFarm) -> None:
    """Serve both ports until cancelled."""
    agents, admin = web.Application(), web.Application()
    agents.router.add_route("*", "/{path:.*}", farm.handle)
    admin.add_routes(
        [web.post("/move", farm.post_move), web.get("/counts", farm.get_counts)],
    )
    for app, port in ((agents, AGENT_CONTROL_PORT), (admin, ADMIN_PORT)):
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "0.0.0.0", port).start()
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description="agents of simulated pods")
    parser.add_argument("--keys", type=Path, required=True, help="public keys as a JWK set")
    parser.add_argument("--hints", required=True, help="URL of the operator's hints")
    options = parser.parse_args()
    farm = AgentFarm(PublicKeys.from_jwks(options.keys.read_text()), hints=options.hints)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(farm))


if __name__ == "__main__":
    main()
