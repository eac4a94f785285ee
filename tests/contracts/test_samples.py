"""Every sample is accepted by the schema and by the typed API, with the same defaults."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from contracts.crds import (
    CRD_DIR,
    SAMPLES,
    closed,
    schema_of,
    session_schema,
    with_defaults,
)
from podstream_core.api import PoolSpec, SessionSpec, StreamSession
from podstream_core.names import API_VERSION, POOL_KIND, SESSION_KIND
from podstream_core.ports import LISTENERS


def load(path: Path) -> dict[str, Any]:
    body: dict[str, Any] = yaml.safe_load(path.read_text())
    return body


SESSIONS = [path for path in SAMPLES if load(path)["kind"] == SESSION_KIND]
POOLS = [path for path in SAMPLES if load(path)["kind"] == POOL_KIND]

every_sample = pytest.mark.parametrize("path", SESSIONS, ids=lambda path: path.stem)
every_pool = pytest.mark.parametrize("path", POOLS, ids=lambda path: path.stem)


def test_there_is_a_sample_per_use() -> None:
    assert {path.stem for path in SAMPLES} == {
        "all",
        "circle",
        "circle-accuracy",
        "circle-compat",
        "circle-hough",
        "circle-own-client",
        "circle-upload",
        "image-batch",
        "image-ops",
        "pool",
        "stream",
        "stream-recording",
        "stream-s3",
        "stream-synthetic",
        "intruder",
        "intruder-cloud",
        "intruder-cloud-placed",
        "intruder-placed",
        "tracking",
        "tracking-camera",
        "tracking-site",
        "pool-signalling",
        "pool-session",
    }


@every_pool
def test_pool_is_valid(path: Path) -> None:
    spec = schema_of("StreamPool")["properties"]["spec"]
    body = load(path)
    assert body["apiVersion"] == API_VERSION
    jsonschema.Draft202012Validator(closed(spec)).validate(body["spec"])
    assert len(body["metadata"]["name"]) <= 36
    stored = with_defaults(body["spec"], schema=spec)
    assert PoolSpec.from_body(stored) == PoolSpec.from_body(body["spec"])


@every_sample
def test_sample_is_valid(path: Path) -> None:
    schema = session_schema()
    part = closed(schema["properties"]["spec"])
    body = load(path)
    assert (body["apiVersion"], body["kind"]) == (API_VERSION, SESSION_KIND)
    jsonschema.Draft202012Validator(part).validate(body["spec"])
    assert len(body["metadata"]["name"]) <= 45
    assert "namespace" not in body["metadata"], "a sample lands in the namespace of the context"


@every_sample
def test_sample_parses(path: Path) -> None:
    body = load(path)
    body["metadata"] |= {"namespace": "default", "uid": "0"}
    workloads = StreamSession.from_body(body).spec.workloads
    assert set(workloads) <= body["spec"].keys()
    assert len(workloads) == 1 or path.stem == "all"


@every_sample
def test_api_server_and_types_fill_in_the_same_defaults(path: Path) -> None:
    spec = load(path)["spec"]
    stored = with_defaults(spec, schema=session_schema()["properties"]["spec"])
    assert stored != spec
    assert SessionSpec.from_body(stored) == SessionSpec.from_body(spec)


def test_default_session_is_what_the_api_server_stores() -> None:
    stored = with_defaults({"circle": {}}, schema=session_schema()["properties"]["spec"])
    typed = SessionSpec.from_body({"circle": {}}).to_body()
    for empty in ("listeners",):
        assert typed.pop(empty) == []
    typed["pod"] = {}
    assert typed == stored


@every_sample
def test_sample_uses_listeners_that_exist(path: Path) -> None:
    known = {listener.name for listener in LISTENERS}
    assert set(load(path)["spec"].get("listeners", [])) <= known


def test_names_of_samples_differ() -> None:
    """All of them can be applied at once: kubectl apply -f crds/samples/."""
    assert len({load(path)["metadata"]["name"] for path in SAMPLES}) == len(SAMPLES)


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"circle": {"widht": 640}}, id="typing-error"),
        pytest.param({"circle": {}, "pod": {"hostNetwork": True}}, id="host-network"),
        pytest.param({"circle": {"width": 641}}, id="odd-width"),
    ],
)
def test_schema_check_can_fail(spec: dict[str, Any]) -> None:
    part = closed(session_schema()["properties"]["spec"])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(part).validate(spec)


def test_only_kinds_lie_at_the_top_of_crds() -> None:
    kinds = {yaml.safe_load(path.read_text())["kind"] for path in CRD_DIR.glob("*.yaml")}
    assert kinds == {"CustomResourceDefinition"}
