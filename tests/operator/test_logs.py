"""Every line of the operator about a session says which one, in the same fields."""

from fakes.log_lines import log_lines, messages
from fakes.world import NAMESPACE, World, eventually, with_operator
from podstream_core.agentapi import AgentPhase

OF_THE_PROCESS = {
    "Lease released",
    "operator runs",
    "operator stopped",
    "this operator leads",
}


@with_operator
async def test_lines_of_a_whole_life_name_session_and_pod(world: World) -> None:
    """With a call that fails, a pod that is lost, and an Event that cannot be posted."""
    with log_lines("podstream_operator") as lines:
        world.api.fail("PATCH", "/streamsessions/ball/status", status=500)
        world.api.fail("POST", "/events", status=403)
        await world.apply(restartPolicy="OnPodLoss")
        await world.reach("Ready")
        await world.kill_pod(world.pods()[0])
        await eventually(
            lambda: world.status()["pod"]["restarts"] == 1 and world.phase() == "Ready"
        )
        world.agent().move(AgentPhase.CONNECTED)
        await world.hint()
        await world.reach("Connected")
        world.agent().move(AgentPhase.COMPLETED)
        await world.hint()
        await world.reach("Completed")
    about = [line for line in lines if line["message"] not in OF_THE_PROCESS]
    assert {"reconcile is repeated", "event dropped", "session is Completed"} <= set(
        messages(about)
    )
    for line in about:
        assert (line.get("namespace"), line.get("session")) == (NAMESPACE, "ball"), line
        assert not {"key", "name", "object", "uid"} & line.keys(), line
    for line in about:
        if line["message"].startswith("session is"):
            assert line["pod"].startswith("ball-"), line


@with_operator
async def test_lines_about_a_pool_name_the_pool(world: World) -> None:
    with log_lines("podstream_operator") as lines:
        world.api.fail("PATCH", "/streampools/media/status", status=500)
        await world.apply_pool()
        await eventually(lambda: world.pool_status().get("warm"))
    assert "reconcile is repeated" in messages(lines)
    for line in lines:
        if line["message"] not in OF_THE_PROCESS:
            assert (line.get("namespace"), line.get("pool")) == (NAMESPACE, "media"), line
