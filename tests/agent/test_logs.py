"""Every line of a session pod says whose it is, those of its workloads too."""

import json
from pathlib import Path

from agent.harness import SESSION, AgentProcess, eventually

POD = "ball-x2x4q"


async def test_lines_name_the_pod_and_from_the_assignment_on_the_session(tmp_path: Path) -> None:
    agent = AgentProcess(
        tmp_path, env={"POD_NAME": POD, "POD_NAMESPACE": "default", "PODSTREAM_LOG_LEVEL": "DEBUG"}
    )
    try:
        await agent.start()
        await agent.assigned()
        agent.popen.terminate()
        assert await eventually(lambda: agent.popen.poll() is not None)
        lines = [json.loads(line) for line in agent.log.splitlines() if line.startswith("{")]
    finally:
        await agent.close()
    assert {line["component"] for line in lines} >= {"agent", "workload-circle"}
    assert {line.get("pod") for line in lines} == {POD}
    (begin,) = [at for at, line in enumerate(lines) if line["message"] == "assigned"]
    for line in lines[begin:]:
        if line["component"] == "agent":
            assert (line["namespace"], line["session"]) == (SESSION.namespace, SESSION.name), line
    (before,) = [line for line in lines if line["message"] == "agent listens"]
    assert "session" not in before
