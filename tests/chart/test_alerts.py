"""Alerts parse, fire when they should and only then, and lead to a page that says what to do."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from chart.expressions import alerts, expressions
from chart.helm import ROOT, Manifest, of_kind, one, render
from chart.promtool import run_promtool

RUNBOOKS = ROOT / "docs" / "runbooks"
CASES: dict[str, dict[str, Any]] = yaml.safe_load(
    Path(__file__).with_name("alert-cases.yaml").read_text()
)
AT_MINUTES = 20
SECTIONS = ["## Symptom", "## What it means", "## How to look", "## What to do"]

every_alert = pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])


def write_rules(folder: Path, rules: list[Manifest]) -> None:
    groups = [{"name": "podstream", "rules": rules}]
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": groups}))


def test_rules_are_valid(tmp_path: Path) -> None:
    """With their templates, as Prometheus reads them."""
    write_rules(tmp_path, alerts())
    text = run_promtool("check", "rules", "--lint=all", "--lint-fatal", "rules.yaml", cwd=tmp_path)
    assert f"{len(alerts())} rules found" in text


def test_every_expression_parses(tmp_path: Path) -> None:
    """Those of the dashboard, too, as recording rules."""
    rules = [
        {"record": f"podstream:expression_{number}", "expr": expression}
        for number, expression in enumerate(expressions().values())
    ]
    assert len(rules) > 60
    write_rules(tmp_path, rules)
    run_promtool("check", "rules", "--lint=none", "rules.yaml", cwd=tmp_path)


def _test(name: str, case: dict[str, Any], *, fires: bool) -> dict[str, Any]:
    severity = {rule["alert"]: rule["labels"] for rule in alerts()}[name]
    series = case["fires" if fires else "quiet"]
    expected = [{"exp_labels": {**severity, **case.get("labels", {})}}] if fires else []
    return {
        "name": f"{name} {'fires' if fires else 'is quiet'}",
        "interval": "1m",
        "input_series": [{"series": key, "values": str(values)} for key, values in series.items()],
        "alert_rule_test": [
            {
                "eval_time": f"{case.get('at', AT_MINUTES)}m",
                "alertname": name,
                "exp_alerts": expected,
            }
        ],
    }


def test_every_alert_fires_when_it_should_and_only_then(tmp_path: Path) -> None:
    bare = [{key: rule[key] for key in rule.keys() - {"annotations"}} for rule in alerts()]
    assert CASES.keys() == {rule["alert"] for rule in bare}
    write_rules(tmp_path, bare)
    tests = [
        _test(name, case, fires=fires) for name, case in CASES.items() for fires in (True, False)
    ]
    document = {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": tests}
    (tmp_path / "cases.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    run_promtool("test", "rules", "cases.yaml", cwd=tmp_path)


def test_annotations_are_filled_in(tmp_path: Path) -> None:
    write_rules(tmp_path, alerts())
    test = _test("PodstreamPoolWaiting", CASES["PodstreamPoolWaiting"], fires=True)
    test["alert_rule_test"][0]["exp_alerts"][0]["exp_annotations"] = {
        "summary": "Connections wait for a pod of a pool",
        "description": "4 at team-a/media, for two minutes.",
        "runbook_url": "https://runbooks.example.org/podstream/PodstreamPoolWaiting.md",
    }
    document = {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": [test]}
    (tmp_path / "cases.yaml").write_text(yaml.safe_dump(document))
    run_promtool("test", "rules", "cases.yaml", cwd=tmp_path)


@every_alert
def test_alert_says_what_is_wrong_and_where_to_read_on(rule: Manifest) -> None:
    assert rule["labels"].keys() == {"severity", "namespace", "team"}
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
    assert all(rule["annotations"].values())
    page = f"{rule['alert']}.md"
    assert rule["annotations"]["runbook_url"].endswith(f"/podstream/{page}")
    text = (RUNBOOKS / page).read_text()
    assert text.startswith(f"# {rule['alert']}\n")
    assert [line for line in text.splitlines() if line.startswith("## ")] == SECTIONS
    assert "kubectl" in text


def test_every_runbook_has_its_alert() -> None:
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == {rule["alert"] for rule in alerts()}


def test_alerts_are_for_one_installation() -> None:
    """Two releases in one cluster do not raise each other's alerts."""
    for rule in alerts():
        assert 'namespace="streams"' in rule["expr"], rule["alert"]


def test_alerts_on_absence_name_scraped_services() -> None:
    """`up` carries the name of the Service that a ServiceMonitor selects."""
    services = {item["metadata"]["name"] for item in of_kind(render("everything"), "Service")}
    for name in ("podstream-operator-replicas", "podstream-router-admin"):
        assert name in services
        assert any(f'service="{name}"' in rule["expr"] for rule in alerts())


def test_names_follow_the_release() -> None:
    settings = ('fullnameOverride="media"', "metrics.prometheusRule.enabled=true")
    rule = one(render("default", *settings), "PrometheusRule", "media")
    text = str(rule["spec"])
    assert "media-operator-replicas" in text
    assert "media-router-admin" in text
    assert "podstream-operator-replicas" not in text
