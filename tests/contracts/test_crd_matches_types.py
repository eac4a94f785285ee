"""CRD and typed API say the same."""

from typing import Any

import pytest
from msgspec import inspect

from contracts.crds import KINDS, load_crd, schema_of, session_schema, version_of
from contracts.typed import differences
from podstream_core import names
from podstream_core.api import PoolSpec, PoolStatus, SessionSpec, SessionStatus
from podstream_core.api.session import WORKLOADS

PARTS = {"spec": SessionSpec, "status": SessionStatus}


def found(schema: dict[str, Any], *, part: str) -> list[str]:
    kind = inspect.type_info(PARTS[part])
    return list(differences(schema["properties"][part], kind=kind, path=part))


@pytest.mark.parametrize("part", PARTS)
def test_crd_and_types_are_equal(part: str) -> None:
    assert found(session_schema(), part=part) == []


@pytest.mark.parametrize(("part", "kind"), [("spec", PoolSpec), ("status", PoolStatus)])
def test_crd_and_types_of_pools_are_equal(part: str, kind: type) -> None:
    schema = schema_of("StreamPool")["properties"][part]
    assert list(differences(schema, kind=inspect.type_info(kind), path=part)) == []


@pytest.mark.parametrize(
    ("kind", "plural"),
    [(names.SESSION_KIND, names.SESSION_PLURAL), (names.POOL_KIND, names.POOL_PLURAL)],
)
def test_names_are_those_of_core(kind: str, plural: str) -> None:
    crd = load_crd(KINDS[kind])
    spec = crd["spec"]
    assert spec["group"] == names.GROUP
    assert version_of(crd)["name"] == names.VERSION
    assert spec["names"]["kind"] == kind
    assert spec["names"]["plural"] == plural
    assert crd["metadata"]["name"] == f"{plural}.{names.GROUP}"


def test_rule_on_workloads_names_every_workload() -> None:
    rule = session_schema()["properties"]["spec"]["x-kubernetes-validations"][0]["rule"]
    assert rule == " || ".join(f"has(self.{name})" for name in WORKLOADS)


@pytest.mark.parametrize(
    ("part", "path", "change", "difference"),
    [
        pytest.param(
            "spec", "circle.width", {"maximum": 4096}, "maximum is 4096, not 3840", id="bound"
        ),
        pytest.param("spec", "circle.fps", {"default": 25}, "default is 25, not 30", id="default"),
        pytest.param(
            "spec",
            "circle.logEstimates",
            {"default": 0},
            "default is 0, not False",
            id="0-is-not-false",
        ),
        pytest.param(
            "spec", "circle.codec", {"enum": ["H264"]}, "enum is ['H264']", id="enumeration"
        ),
        pytest.param(
            "spec",
            "circle.ball.speed",
            {"type": "integer"},
            "type is integer, not number",
            id="type",
        ),
        pytest.param("spec", "circle.ball.color", {"pattern": "^#"}, "pattern is ^#", id="pattern"),
        pytest.param(
            "spec", "circle.ball", {"required": ["radius"]}, "required is ['radius']", id="required"
        ),
        pytest.param("spec", "client", {"default": None}, "default is None, not {}", id="no-room"),
        pytest.param("status", "phase", {"enum": ["Ready"]}, "enum is ['Ready']", id="phase"),
        pytest.param(
            "status", "observedGeneration", {"default": 0}, "default is 0", id="status-default"
        ),
        pytest.param(
            "status", "timeline.readyAt", {"format": "date"}, "format is not date-time", id="time"
        ),
    ],
)
def test_a_difference_is_found(
    part: str, path: str, change: dict[str, Any], difference: str
) -> None:
    schema = session_schema()
    target = schema["properties"][part]
    for name in path.split("."):
        target = target["properties"][name]
    target.update(change)
    (sentence,) = found(schema, part=part)
    assert sentence.startswith(f"{part}.{path}: {difference}")


@pytest.mark.parametrize("part", PARTS)
def test_missing_and_surplus_members_are_found(part: str) -> None:
    schema = session_schema()
    members = schema["properties"][part]["properties"]
    name, member = next(iter(members.items()))
    members["other"] = member
    del members[name]
    assert found(schema, part=part) == [
        f"{part}.other: is not in the type {PARTS[part].__name__}",
        f"{part}.{name}: is not in the CRD",
    ]
