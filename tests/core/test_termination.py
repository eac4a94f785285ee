import json
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import msgspec
import pytest

from podstream_core.agentapi import AgentPhase, AgentState, Failure, SessionRef
from podstream_core.api import (
    CameraResults,
    CircleResults,
    Codec,
    ImageBatchItem,
    ImageBatchResults,
    ImageOperationCounts,
    ImageOpsResults,
    ImageRejections,
    ImageStreamResults,
    LatencyMs,
    ObjectTimeline,
    OrchestratorResults,
    Position,
    RecordingFile,
    RecordingResults,
    Results,
    StreamResults,
    StreamSourceResults,
    StreamState,
    Timeline,
    TrackingResults,
    UploadResults,
)
from podstream_core.api.base import ApiValue
from podstream_core.api.recording import StopReason
from podstream_core.termination import RECORD_BYTES, decode_termination, encode_termination

KUBELET_KEEPS_BYTES = 4096
MOMENT = datetime(2026, 11, 21, 9, 57, 36, 440897, tzinfo=UTC)
BIG_COUNT = 2**53 - 1
CountsT = TypeVar("CountsT", bound=ApiValue)
BIG_FLOAT = 1.7976931348623157e308


CAMERA = TrackingResults(
    camera=CameraResults(
        connections=BIG_COUNT,
        frames=BIG_COUNT,
        dropped=BIG_COUNT,
        skipped=BIG_COUNT,
        tracks=BIG_COUNT,
        present=BIG_COUNT,
    )
)
"""Of a camera without a site, which has no message either."""
IMAGE_STREAM = ImageStreamResults(
    frames=BIG_COUNT,
    dropped=BIG_COUNT,
    failed=BIG_COUNT,
    restarts=BIG_COUNT,
    width=7680,
    height=4320,
    latency_ms=LatencyMs(p50=-BIG_FLOAT, p95=-BIG_FLOAT, p99=-BIG_FLOAT),
)
BATCH = ImageBatchResults(
    total=BIG_COUNT,
    done=BIG_COUNT,
    failed=BIG_COUNT,
    bytes_in=BIG_COUNT,
    bytes_out=BIG_COUNT,
    seconds=BIG_FLOAT,
    items=[
        ImageBatchItem(
            name="n" * 100, size=BIG_COUNT, sha256="f" * 64, milliseconds=1e308, error="e" * 200
        )
    ]
    * 10,
)


def all_big(kind: type[CountsT]) -> CountsT:
    return kind(**dict.fromkeys(kind.__struct_fields__, BIG_COUNT))


RECORDING = RecordingResults(
    active=True,
    stop_reason=max(StopReason, key=len),
    message="m" * 100,
    files=BIG_COUNT,
    frames=BIG_COUNT,
    frames_dropped=BIG_COUNT,
    bytes=BIG_COUNT,
    upload=UploadResults(
        files=BIG_COUNT,
        bytes=BIG_COUNT,
        waiting=BIG_COUNT,
        waiting_names=["w" * 40] * 5,
        message="m" * 100,
    ),
    playlist="stream-recording.m3u8",
)
STREAM = StreamResults(
    state=StreamState.STOPPED,
    frames_received=BIG_COUNT,
    bytes_received=BIG_COUNT,
    frames_per_second=BIG_FLOAT,
    frames_processed=BIG_COUNT,
    frames_discarded=BIG_COUNT,
    incomplete_frames=BIG_COUNT,
    suspected_width=BIG_COUNT,
    viewers=BIG_COUNT,
    source=StreamSourceResults(
        connected=True,
        connections=BIG_COUNT,
        frames_dropped=BIG_COUNT,
        codec="c" * 20,
        width=BIG_COUNT,
        height=BIG_COUNT,
        message="m" * 100,
    ),
    recording=RECORDING,
    recordings=[
        RecordingFile(
            name="n" * 40, frames=BIG_COUNT, seconds=BIG_FLOAT, bytes=BIG_COUNT, sha256="f" * 64
        )
    ]
    * 10,
)


TRACKING = TrackingResults(
    orchestrator=OrchestratorResults(
        cameras=BIG_COUNT,
        clients=BIG_COUNT,
        objects_live=BIG_COUNT,
        objects_ever=BIG_COUNT,
        boxes_in=BIG_COUNT,
        boxes_out=BIG_COUNT,
        dropped=BIG_COUNT,
        message="m" * 100,
        timelines_total=BIG_COUNT,
        timelines=[
            ObjectTimeline(
                object_id=BIG_COUNT,
                cameras=["c" * 60] * 10,
                intervals=BIG_COUNT,
                frames=BIG_COUNT,
                first=MOMENT,
                last=MOMENT,
            )
        ]
        * 10,
    )
)


def with_tracking(state: AgentState) -> AgentState:
    """A session of all workloads."""
    assert state.results is not None
    results = msgspec.structs.replace(state.results, tracking=TRACKING)
    return msgspec.structs.replace(state, results=results)


def largest_state(message: str) -> AgentState:
    """Every member of the workloads that share an image set, every member at its longest."""
    return AgentState(
        pod_uid="x" * 36,
        phase=AgentPhase.COMPLETED,
        assignment_id="i" * 128,
        session=SessionRef(namespace="n" * 63, name="m" * 253, uid="u" * 36),
        failure=Failure(reason="R" * 100, message=message),
        timeline=Timeline(
            **{
                name: MOMENT + timedelta(microseconds=index)
                for index, name in enumerate(Timeline.__struct_fields__)
            }
        ),
        results=Results(
            final=True,
            observed_at=MOMENT,
            circle=CircleResults(
                summary="s" * 160,
                plot="p" * 140,
                frames_received=BIG_COUNT,
                frames_dropped=BIG_COUNT,
                frames_found=BIG_COUNT,
                position=Position(x=-BIG_FLOAT, y=-BIG_FLOAT),
                codec=Codec.H264,
                frames_sent=BIG_COUNT,
                frames_skipped=BIG_COUNT,
                frames_scored=BIG_COUNT,
                frames_unmatched=BIG_COUNT,
                frames_missed=BIG_COUNT,
                codes_agreed=BIG_COUNT,
                codes_differed=BIG_COUNT,
                loss_ratio=-BIG_FLOAT,
                rmse_px=-BIG_FLOAT,
                rmse_euclidean_px=-BIG_FLOAT,
                error_p95_px=-BIG_FLOAT,
                fps=-BIG_FLOAT,
                latency_ms=LatencyMs(p50=-BIG_FLOAT, p95=-BIG_FLOAT, p99=-BIG_FLOAT),
            ),
            image_ops=ImageOpsResults(
                calls=BIG_COUNT,
                rejected=all_big(ImageRejections),
                operations=all_big(ImageOperationCounts),
                bytes_in=BIG_COUNT,
                bytes_out=BIG_COUNT,
                pixels=BIG_COUNT,
                latency_ms=LatencyMs(p50=-BIG_FLOAT, p95=-BIG_FLOAT, p99=-BIG_FLOAT),
                batch=BATCH,
            ),
            stream=STREAM,
        ),
    )


def test_largest_state_of_every_member_is_set() -> None:
    """The bound below means nothing once a new member of the API is left out of it."""
    results = with_tracking(largest_state("")).results
    assert results is not None
    assert TRACKING.orchestrator is not None
    assert results.circle is not None
    assert results.image_ops is not None
    assert results.stream is not None
    assert results.image_ops.batch is not None
    assert results.stream.recording is not None
    assert results.stream.source is not None
    unset = [
        f"{type(value).__name__}.{name}"
        for value in (
            results,
            results.circle,
            results.image_ops,
            results.image_ops.rejected,
            results.image_ops.operations,
            results.image_ops.batch,
            IMAGE_STREAM,
            results.stream,
            results.stream.source,
            results.stream.recording,
            TRACKING.orchestrator,
            TRACKING.orchestrator.timelines[0],
            largest_state("").timeline,
        )
        for name in value.__struct_fields__
        if getattr(value, name) in (None, 0)
    ]
    # The API allows a batch or a stream's frames, not both.
    assert unset == ["ImageOpsResults.stream"]


@pytest.mark.parametrize(
    "message",
    [
        pytest.param("", id="no-message"),
        pytest.param("e" * 100_000, id="ascii"),
        pytest.param("ä€😀" * 5000, id="multi-byte"),
        pytest.param('"\\\n\x00' * 5000, id="escapes"),
        pytest.param("\ud800" * 5000, id="lone-surrogates"),
    ],
)
def test_largest_state_fits_and_comes_back(message: str) -> None:
    state = largest_state(message)
    record = encode_termination(state)
    assert len(record) == RECORD_BYTES < KUBELET_KEEPS_BYTES
    decoded = decode_termination(record.decode())
    assert decoded is not None
    assert decoded.failure is not None
    assert decoded.failure.reason == "R" * 100
    if message:
        kept = decoded.failure.message.removesuffix("…")
        assert len(kept) > 100
        assert message.replace("\ud800", "?").startswith(kept)
    assert decoded.session == state.session
    assert decoded.timeline == state.timeline
    assert decoded.assignment_id == state.assignment_id
    assert decoded.results is not None
    assert decoded.results.circle is not None
    assert decoded.results.circle.frames_scored == BIG_COUNT


def test_largest_state_of_all_workloads_keeps_every_count_and_the_reason() -> None:
    """Lists are in status already, by the live results; counts and the failure are not."""
    decoded = decode_termination(encode_termination(with_tracking(largest_state("why"))).decode())
    assert decoded is not None
    assert decoded.failure == Failure(reason="R" * 100, message="why")
    results = decoded.results
    assert results is not None
    assert results.tracking is not None
    assert results.tracking.orchestrator is not None
    assert results.tracking.orchestrator.boxes_in == BIG_COUNT
    assert results.circle is not None
    assert results.circle.frames_scored == BIG_COUNT
    assert results.stream is not None
    assert results.stream.frames_received == BIG_COUNT


def test_largest_state_of_a_shared_stream_keeps_every_count_and_the_reason() -> None:
    state = largest_state("why")
    assert state.results is not None
    assert state.results.image_ops is not None
    pictures = msgspec.structs.replace(state.results.image_ops, batch=None, stream=IMAGE_STREAM)
    results = msgspec.structs.replace(state.results, image_ops=pictures, tracking=CAMERA)
    decoded = decode_termination(
        encode_termination(msgspec.structs.replace(state, results=results)).decode()
    )
    assert decoded is not None
    assert decoded.failure == Failure(reason="R" * 100, message="why")
    assert decoded.results is not None
    assert decoded.results.image_ops is not None
    assert decoded.results.image_ops.stream is not None
    assert decoded.results.image_ops.stream.frames == BIG_COUNT
    assert decoded.results.tracking == CAMERA
    assert decoded.results.circle is not None
    assert decoded.results.circle.frames_scored == BIG_COUNT


def test_items_of_a_batch_give_way_before_anything_else() -> None:
    state = largest_state("why")
    decoded = decode_termination(encode_termination(state).decode())
    assert decoded is not None
    assert decoded.failure == state.failure
    assert decoded.results is not None
    assert decoded.results.image_ops is not None
    batch = decoded.results.image_ops.batch
    assert batch is not None
    assert 0 < len(batch.items) < 10
    assert batch.items == BATCH.items[: len(batch.items)]
    assert (batch.total, batch.failed) == (BIG_COUNT, BIG_COUNT)
    assert state.results is not None
    assert state.results.image_ops is not None
    assert state.results.image_ops.batch == BATCH, "the state itself is left as it is"


def test_state_of_usual_size_comes_back_whole() -> None:
    state = AgentState(
        pod_uid="uid",
        phase=AgentPhase.FAILED,
        failure=Failure(reason="WorkloadCrashed", message="ended with SIGKILL"),
        timeline=Timeline(assigned_at=MOMENT),
        results=Results(circle=CircleResults(frames_scored=3, rmse_px=0.25)),
    )
    assert decode_termination(encode_termination(state).decode()) == state


def test_idle_state_comes_back() -> None:
    state = AgentState(pod_uid="uid", phase=AgentPhase.IDLE)
    assert decode_termination(encode_termination(state).decode()) == state


def test_floats_are_rounded_and_never_break_the_json() -> None:
    circle = CircleResults(rmse_px=0.12345678912345, fps=float("nan"), loss_ratio=float("inf"))
    state = AgentState(pod_uid="u", phase=AgentPhase.READY, results=Results(circle=circle))
    text = encode_termination(state).decode()
    decoded = decode_termination(text)
    assert decoded is not None
    assert decoded.results is not None
    assert decoded.results.circle == CircleResults(rmse_px=0.1234568)
    assert "NaN" not in text


def test_only_the_message_is_cut_and_a_state_that_is_still_too_large_is_refused() -> None:
    state = AgentState(pod_uid="u" * RECORD_BYTES, phase=AgentPhase.IDLE)
    with pytest.raises(ValueError, match="does not fit"):
        encode_termination(state)


def test_every_truncation_and_shift_is_none() -> None:
    record = encode_termination(largest_state("message")).decode()
    body = record.rstrip()
    for end in range(0, len(body), 7):
        assert decode_termination(body[:end]) is None
    for start in range(1, len(body), 7):
        assert decode_termination(body[start:]) is None


VALID = {"v": 1, "u": "uid", "p": "Ready", "t": {}}


@pytest.mark.parametrize(
    "text",
    [
        "",
        " " * RECORD_BYTES,
        "null",
        "[]",
        "3",
        '"text"',
        "[" * 100_000,
        "OOMKilled: the container ran out of memory",
        json.dumps({}),
        json.dumps(VALID | {"v": 2}),
        json.dumps(VALID | {"p": "Sleeping"}),
        json.dumps(VALID | {"u": 3}),
        json.dumps(VALID | {"a": []}),
        json.dumps(VALID | {"t": []}),
        json.dumps(VALID | {"t": {"ready_at": "soon"}}),
        json.dumps(VALID | {"t": {"ready_at": 10**30}}),
        json.dumps(VALID | {"f": ["Reason"]}),
        json.dumps(VALID | {"f": "Reason"}),
        json.dumps(VALID | {"s": ["a", "b"]}),
        json.dumps(VALID | {"r": []}),
        json.dumps(VALID | {"r": {"circle": {"framesScored": "many"}}}),
    ],
)
def test_garbage_is_none(text: str) -> None:
    assert decode_termination(text) is None


def test_unknown_members_of_a_newer_component_are_ignored() -> None:
    body = VALID | {
        "z": 1,
        "t": {"later_at": 5},
        "r": {"final": True, "later": {"bytes": 1}},
    }
    decoded = decode_termination(json.dumps(body))
    assert decoded is not None
    assert decoded.results == Results(final=True)
