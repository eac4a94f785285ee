"""The end of a session that has something to bring away."""

from agent.conftest import StartAgent
from agent.harness import assignment_token, control_token
from agent.test_live_spec import FRAME, publisher, received
from podstream_core.agentapi import AgentPhase
from podstream_core.api import Recording, S3Storage, SecretRef, SessionSpec, Stream


async def test_what_cannot_be_uploaded_is_named_when_the_time_is_over(
    start_agent: StartAgent,
) -> None:
    """No credentials are mounted: the pod waits as long as its spec says, and tells why."""
    bucket = S3Storage(
        bucket="films", credentials_secret_ref=SecretRef(name="keys"), finish_seconds=4
    )
    stream = Stream(width=64, height=48, recording=Recording(s3=bucket))
    spec = SessionSpec(stream=stream, linger_seconds=0, reconnect_seconds=60)
    agent = await start_agent(ECHO_REAL="1", PODSTREAM_WORKLOADS="stream")
    answer = await agent.assign(assignment_token(spec))
    assert answer.status == 200, answer.text
    await agent.reaches(lambda state: state.phase is AgentPhase.READY)
    client = await publisher(agent)
    await client.send(FRAME * 4)
    await received(agent, 4)
    order = {"reason": "Ended", "message": "by its user"}
    await agent.call("POST", "/drain", token=control_token(), json_body=order)
    state = await agent.reaches(
        lambda state: bool(
            state.results
            and state.results.stream
            and state.results.stream.recording
            and state.results.stream.recording.upload
            and state.results.stream.recording.upload.waiting
        )
    )
    assert state.phase is AgentPhase.DRAINING
    await agent.exit_code(within_s=60)
    results = agent.record().results
    assert results is not None
    assert results.final
    assert results.stream is not None
    assert results.stream.recording is not None
    upload = results.stream.recording.upload
    assert upload is not None
    assert upload.waiting == 1
    assert upload.waiting_names == [results.stream.recordings[0].name]
    assert upload.message is not None
    assert "Secret keys" in upload.message
