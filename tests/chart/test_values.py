"""Wrong values are refused in words that name the value."""

import re
from typing import Any

import jsonschema
import pytest
import yaml

from chart.helm import CHART, VALUES, HelmRefused, render, run_helm

SCHEMA: dict[str, Any] = yaml.safe_load((CHART / "values.schema.json").read_text())
DEFAULTS: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())


@pytest.mark.parametrize("values", VALUES)
def test_lint_has_no_findings(values: str) -> None:
    files = [word for path in VALUES[values] for word in ("-f", str(path))]
    output = run_helm("lint", "--strict", str(CHART), *files)
    assert "0 chart(s) failed" in output
    assert "[WARNING]" not in output


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        pytest.param("operatr={}", ["operatr", "not allowed"], id="typing-error-at-the-top"),
        pytest.param("router.replcas=2", ["replcas", "not allowed"], id="typing-error"),
        pytest.param("router.replicas=0", ["/router/replicas"], id="no-replicas"),
        pytest.param('router.replicas="2"', ["/router/replicas"], id="text-for-a-number"),
        pytest.param('router.service.type="Nodeport"', ["/router/service/type"], id="type"),
        pytest.param(
            'router.service.externalTrafficPolicy="local"',
            ["/router/service/externalTrafficPolicy"],
            id="traffic-policy",
        ),
        pytest.param('logging.level="chatty"', ["/logging/level"], id="log-level"),
        pytest.param('logging.format="xml"', ["/logging/format"], id="log-format"),
        pytest.param('externalUrl="127.0.0.1:8080"', ["/externalUrl"], id="url-without-scheme"),
        pytest.param('externalUrl="http://a b"', ["/externalUrl"], id="url-with-space"),
        pytest.param(
            'externalSignallingAddress="127.0.0.1"', ["/externalSignallingAddress"], id="no-port"
        ),
        pytest.param('externalGrpcAddress="http://a:1"', ["/externalGrpcAddress"], id="grpc-url"),
        pytest.param(
            'router.media.advertise=["127.0.0.1"]', ["/router/media/advertise/0"], id="media"
        ),
        pytest.param("router.media.port=53", ["/router/media/port"], id="privileged-media-port"),
        pytest.param("router.listeners=[]", ["/router/listeners"], id="no-listeners"),
        pytest.param(
            'router.listeners=[{"name":"HTTP","port":8080,"protocol":"http"}]',
            ["/router/listeners/0/name"],
            id="listener-name",
        ),
        pytest.param(
            'router.listeners=[{"name":"http","port":8080,"protocol":"https"}]',
            ["/router/listeners/0/protocol"],
            id="listener-protocol",
        ),
        pytest.param(
            'router.listeners=[{"name":"http","port":8080,"nodePort":80,"protocol":"http"}]',
            ["/router/listeners/0/nodePort"],
            id="node-port",
        ),
        pytest.param(
            "router.tls.required=true", ["router.tls.secretName"], id="tls-without-certificate"
        ),
        pytest.param('router.tls.secretName="A b"', ["/router/tls/secretName"], id="tls-secret"),
        pytest.param('operator.image.tag="latest"', ["/operator/image/tag"], id="latest"),
        pytest.param('session.image.digest="sha256:12"', ["/session/image/digest"], id="digest"),
        pytest.param(
            'session.resources={"limits":{"memory":"1GB"}}',
            ["/session/resources/limits/memory"],
            id="quantity",
        ),
        pytest.param(
            'session.resources={"limit":{}}', ["limit", "not allowed"], id="resources-member"
        ),
        pytest.param('watchNamespaces=["*"]', ["/watchNamespaces/0"], id="namespace-wildcard"),
        pytest.param('watchNamespaces=["a","a"]', ["/watchNamespaces"], id="namespace-twice"),
        pytest.param("operator.resyncSeconds=1", ["/operator/resyncSeconds"], id="busy-resync"),
        pytest.param('operator.extraEnv=[{"value":"1"}]', ["/operator/extraEnv/0"], id="env"),
        pytest.param(
            'operator.extraEnv=[{"name":"PODSTREAM_LOG_LEVEL","value":"debug"}]',
            ["operator.extraEnv must not set PODSTREAM_LOG_LEVEL"],
            id="env-of-the-chart",
        ),
        pytest.param(
            'router.extraEnv=[{"name":"A","value":"1"},{"name":"A","value":"2"}]',
            ["router.extraEnv must not set A"],
            id="env-twice",
        ),
        pytest.param(
            'router.listeners=[{"name":"a","port":5000,"protocol":"tcp"}]',
            ["at least one listener with protocol http"],
            id="no-http-listener",
        ),
        pytest.param(
            'router.listeners=[{"name":"a","port":80,"protocol":"http"},'
            '{"name":"b","port":10080,"protocol":"tcp"}]',
            ["port 10080 in the container is taken twice"],
            id="ports-meet-inside",
        ),
        pytest.param(
            'router.listeners=[{"name":"a","port":8082,"protocol":"http"}]',
            ["the router's admin port", "taken twice"],
            id="admin-port",
        ),
        pytest.param(
            'router.listeners=[{"name":"media","port":8080,"protocol":"http"}]',
            ["name media is taken twice"],
            id="name-media",
        ),
        pytest.param(
            "router.media.advertiseService=false", ["no client could send media"], id="no-address"
        ),
        pytest.param(
            "rbac.create=false",
            ["serviceAccountName is needed where rbac.create is false"],
            id="no-account",
        ),
    ],
)
def test_bad_value_is_refused(setting: str, words: list[str]) -> None:
    with pytest.raises(HelmRefused) as refusal:
        render("default", setting)
    text = str(refusal.value)
    assert [word for word in words if word not in text] == [], text


def test_every_level_we_own_is_closed() -> None:
    """An unknown key is a typing error that would otherwise change nothing, silently."""
    open_levels = []

    def visit(schema: dict[str, Any], path: str) -> None:
        if "properties" in schema and schema.get("additionalProperties") is not False:
            open_levels.append(path)
        for name, member in schema.get("properties", {}).items():
            visit(member, f"{path}.{name}")

    visit(SCHEMA, "")
    for name, definition in SCHEMA["$defs"].items():
        visit(definition, f"$defs.{name}")
    assert open_levels == []


def test_every_value_of_the_schema_has_a_default() -> None:
    """values.yaml is the list of what can be set."""
    missing = []

    def visit(schema: dict[str, Any], value: Any, path: str) -> None:
        if "$ref" in schema:
            schema = SCHEMA["$defs"][schema["$ref"].rsplit("/", 1)[1]]
        for name, member in schema.get("properties", {}).items():
            if not isinstance(value, dict) or name not in value:
                missing.append(f"{path}{name}")
            else:
                visit(member, value[name], f"{path}{name}.")

    visit(SCHEMA, DEFAULTS, "")
    assert missing == ["global"], "global is Helm's own"


@pytest.mark.parametrize("values", VALUES)
def test_value_files_are_valid(values: str) -> None:
    for path in VALUES[values]:
        given = yaml.safe_load(path.read_text())
        errors = [
            error.json_path
            for error in jsonschema.Draft202012Validator(SCHEMA).iter_errors(given)
            if error.validator != "required"
        ]
        assert errors == []


def test_every_key_is_explained() -> None:
    """A comment stands above each key, or above the group of plain placement keys it belongs to."""
    plain = re.compile(
        r"(image|repository|pullPolicy|resources|requests|limits|podLabels|podAnnotations|"
        r"nodeSelector|tolerations|affinity|priorityClassName|annotations|service|media|interval|"
        r"topologySpreadConstraints)$"
    )
    unexplained = []
    previous = ""
    for line in (CHART / "values.yaml").read_text().splitlines():
        found = re.match(r"( *)([A-Za-z]+):", line)
        if found and len(found[1]) <= 4 and not previous.strip().startswith("#"):
            group = line.rstrip().endswith(":") and len(found[1]) <= 2
            if not group and not plain.match(found[2]):
                unexplained.append(line)
        previous = line
    assert unexplained == []


def test_notes_name_the_next_commands() -> None:
    notes = run_helm(
        "install", "podstream", str(CHART), "--namespace", "streams", "--dry-run=client"
    ).split("NOTES:")[1]
    commands = [line.strip() for line in notes.splitlines() if line.startswith("  kubectl")]
    assert commands == [
        "kubectl -n streams apply -f crds/samples/circle.yaml",
        "kubectl -n streams wait --for=condition=Completed --timeout=180s streamsession/ball",
        "kubectl -n streams get streamsessions -o wide",
    ]
    assert "externalUrl is not set" in notes


@pytest.mark.parametrize(
    ("settings", "warns"),
    [
        pytest.param(["router.replicas=1"], False, id="one"),
        pytest.param(["router.replicas=2"], True, id="two-behind-hidden-addresses"),
        pytest.param(
            ["router.replicas=2", "router.service.externalTrafficPolicy=Local"], False, id="local"
        ),
        pytest.param(["router.replicas=2", "router.service.type=ClusterIP"], False, id="inside"),
    ],
)
def test_notes_warn_of_replicas_that_cannot_tell_clients_apart(
    settings: list[str], *, warns: bool
) -> None:
    options = [word for setting in settings for word in ("--set", setting)]
    notes = run_helm(
        "install", "podstream", str(CHART), "--namespace", "streams", "--dry-run=client", *options
    ).split("NOTES:")[1]
    assert ("externalTrafficPolicy is Cluster" in notes) is warns
