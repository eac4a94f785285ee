"""The CRD reads like a manual, is bounded, and shows at a glance whether a session worked."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from contracts.crds import KINDS, ROOT, load_crd, schema_of, session_schema, version_of, walk
from podstream_core.api import LiveSpec, LiveStream, SessionSpec

LIVE = {
    "startupTimeoutSeconds",
    "idleTimeoutSeconds",
    "activeDeadlineSeconds",
    "ttlSecondsAfterFinished",
    "resultsIntervalSeconds",
}


every_kind = pytest.mark.parametrize("kind", KINDS)


def members(kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every named member of spec and status."""
    schema = schema_of(kind)
    for part in ("spec", "status"):
        for path, item in walk(schema["properties"][part], path=part):
            if not path.endswith(("[]", "{}")):
                yield path, item


@every_kind
def test_every_field_is_described(kind: str) -> None:
    missing = [path for path, item in members(kind) if len(item.get("description", "")) < 5]
    assert missing == []


@every_kind
def test_descriptions_are_sentences(kind: str) -> None:
    wrong = [
        path
        for path, item in members(kind)
        if not item["description"].endswith(".") or "  " in item["description"]
    ]
    assert wrong == []


@every_kind
def test_descriptions_name_the_default(kind: str) -> None:
    """A default that only the schema knows is invisible in `kubectl explain`."""
    wrong = []
    for path, item in members(kind):
        default = item.get("default")
        if default in (None, {}):
            continue
        word = str(default).lower() if isinstance(default, bool) else str(default)
        text = item["description"].lower()
        if "default" not in text or word.lower() not in text:
            wrong.append(path)
    assert wrong == []


@every_kind
def test_everything_a_user_sends_is_bounded(kind: str) -> None:
    """Bounds keep objects small and the estimated cost of the rules low."""
    unbounded = []
    for path, item in walk(schema_of(kind)["properties"]["spec"], path="spec"):
        match item.get("type"):
            case "string":
                bounded = "enum" in item or "maxLength" in item
            case "array":
                bounded = "maxItems" in item
            case "integer" | "number":
                bounded = "minimum" in item and "maximum" in item
            case "object":
                bounded = "properties" in item or "maxProperties" in item
            case "boolean":
                bounded = True
            case _:
                bounded = "maxLength" in item
        if not bounded:
            unbounded.append(path)
    assert unbounded == []


@every_kind
def test_nothing_is_left_open(kind: str) -> None:
    """An open subtree would let a session choose what its pod may do."""
    text = json.dumps(load_crd(KINDS[kind]))
    assert "x-kubernetes-preserve-unknown-fields" not in text
    assert "x-kubernetes-embedded-resource" not in text


@pytest.mark.parametrize(
    "name",
    [
        "serviceAccountName",
        "hostNetwork",
        "hostPID",
        "hostIPC",
        "volumes",
        "containers",
        "initContainers",
        "securityContext",
        "image",
        "command",
        "env",
        "nodeName",
        "automountServiceAccountToken",
        "schedulerName",
    ],
)
def test_pod_settings_have_no_way_to_privileges(name: str) -> None:
    pod = session_schema()["properties"]["spec"]["properties"]["pod"]
    assert name not in pod["properties"]


@every_kind
def test_every_list_says_how_it_merges(kind: str) -> None:
    missing = [
        path
        for path, item in walk(schema_of(kind), path="")
        if item.get("type") == "array" and "x-kubernetes-list-type" not in item
    ]
    assert missing == []


@every_kind
def test_conditions_are_a_map_by_type(kind: str) -> None:
    conditions = schema_of(kind)["properties"]["status"]["properties"]["conditions"]
    assert conditions["x-kubernetes-list-type"] == "map"
    assert conditions["x-kubernetes-list-map-keys"] == ["type"]


def test_every_member_of_the_spec_is_live_or_guarded() -> None:
    """A rule per member on spec itself, with has() on both sides: added and removed count too."""
    spec = session_schema()["properties"]["spec"]
    rules = {rule["rule"]: rule["message"] for rule in spec["x-kubernetes-validations"]}
    for name in spec["properties"].keys() - LIVE - {"stream"}:
        rule = (
            f"has(self.{name}) == has(oldSelf.{name}) && "
            f"(!has(self.{name}) || self.{name} == oldSelf.{name})"
        )
        assert rules[rule].startswith(f"spec.{name} cannot be changed after creation: ")
    for name in LIVE:
        assert not any(f"oldSelf.{name}" in rule for rule in rules)
        assert spec["properties"][name]["description"].endswith("Can be changed.")


def test_of_a_stream_just_the_live_members_can_be_changed() -> None:
    """The rule compares every other member, whatever is added to the schema."""
    spec = session_schema()["properties"]["spec"]
    stream = spec["properties"]["stream"]
    live = {"stream.state", "stream.recording.enabled"}
    (rule,) = (
        rule["rule"]
        for rule in spec["x-kubernetes-validations"]
        if "oldSelf.stream" in rule["rule"]
    )
    assert "".join(rule.split()) == guard("stream", stream, live=live).replace(" ", "")
    for path in live:
        schema = spec
        for name in path.split("."):
            schema = schema["properties"][name]
        assert schema["description"].endswith("Can be changed.")


def test_live_members_of_the_crd_are_those_of_the_pod() -> None:
    off = {"state": "Stopped", "recording": {"enabled": False}}
    on = {"state": "Running", "recording": {"enabled": True}}
    found = {str(LiveSpec.of(SessionSpec.from_body({"stream": value}))) for value in (off, on)}
    assert len(found) == 2
    (live,) = LiveSpec.__struct_fields__
    assert live == "stream"
    assert set(LiveStream.__struct_fields__) == {"state", "recording"}


def guard(path: str, schema: dict[str, Any], *, live: set[str]) -> str:
    """The CEL expression that holds a member, but for live ones, to what it was."""
    mine, before = f"self.{path}", f"oldSelf.{path}"
    inner = schema.get("properties", {})
    if any(item.startswith(f"{path}.") for item in live):
        parts = [
            guard(f"{path}.{name}", member, live=live)
            for name, member in inner.items()
            if f"{path}.{name}" not in live
        ]
        same = f"({' && '.join(parts)})"
    else:
        same = f"{mine} == {before}"
    if "default" in schema:
        return same
    return f"has({mine}) == has({before}) && (!has({mine}) || {same})"


@every_kind
def test_messages_of_rules_name_the_fix(kind: str) -> None:
    rules = [
        rule
        for _, item in walk(schema_of(kind), path="")
        for rule in item.get("x-kubernetes-validations", [])
    ]
    assert len(rules) >= 6
    verbs = ("set ", "remove ", "use ", "lower ", "delete ", "choose ")
    assert [rule["message"] for rule in rules if not any(v in rule["message"] for v in verbs)] == []


def test_columns_answer_did_it_work() -> None:
    columns = version_of(load_crd())["additionalPrinterColumns"]
    shown = [column["name"] for column in columns if not column.get("priority")]
    wide = [column["name"] for column in columns if column.get("priority")]
    assert shown == ["Phase", "Workloads", "Pod", "RMSE", "FPS", "Age"]
    assert wide == ["Summary", "Endpoint", "Origin", "Reason"]


@every_kind
def test_columns_point_at_fields(kind: str) -> None:
    schema = schema_of(kind)
    for column in version_of(load_crd(KINDS[kind]))["additionalPrinterColumns"]:
        if column["name"] == "Age":
            continue
        target = schema
        path = re.sub(r"\[\?\(@\.type==\"\w+\"\)\]|\[0\]", "", column["jsonPath"])
        for name in path.removeprefix(".").split("."):
            target = target["properties"][name]
            if target["type"] == "array" and name != path.rpartition(".")[2]:
                target = target["items"]
        listed = target["type"] == "array" and column["type"] == "string"
        assert listed or target["type"] == column["type"], column["name"]


def test_names_and_subresource() -> None:
    names = load_crd()["spec"]["names"]
    assert names["shortNames"] == ["strs"]
    assert names["categories"] == ["podstream"]
    assert version_of(load_crd())["subresources"] == {"status": {}}


def test_pools_can_be_scaled() -> None:
    crd = load_crd("streampool")
    assert crd["spec"]["names"]["shortNames"] == ["strp"]
    assert crd["spec"]["names"]["categories"] == ["podstream"]
    assert version_of(crd)["subresources"]["scale"] == {
        "specReplicasPath": ".spec.warm",
        "statusReplicasPath": ".status.warm",
        "labelSelectorPath": ".status.selector",
    }


@every_kind
def test_crd_fits_client_side_apply(kind: str) -> None:
    """kubectl apply keeps the object in an annotation of at most 256 KiB."""
    assert len(json.dumps(load_crd(KINDS[kind]))) < 128 * 1024


@every_kind
def test_words_that_yaml_1_1_takes_for_booleans_are_quoted(kind: str) -> None:
    """Python reads `y` as a word, kubectl and Helm as true: the API server then refuses the CRD."""
    plain = [
        text.value
        for text in yaml.scan((ROOT / f"crds/{KINDS[kind]}.yaml").read_text())
        if isinstance(text, yaml.ScalarToken)
        and text.plain
        and text.value.lower() in ("y", "n", "yes", "no", "on", "off")
    ]
    assert plain == []


@every_kind
def test_rules_can_be_evaluated_on_an_empty_default(kind: str) -> None:
    """The API server checks `default: {}` before the defaults of its members are filled in.

    A rule that takes a member for granted then fails, and with it the whole CRD.
    """
    assumed = [
        f"{path}: {member} in {rule['rule']}"
        for path, item in walk(schema_of(kind), path="")
        if item.get("default") == {}
        for rule in item.get("x-kubernetes-validations", [])
        for member in set(re.findall(r"\bself\.(\w+)", rule["rule"]))
        if f"has(self.{member})" not in rule["rule"]
    ]
    assert assumed == []
