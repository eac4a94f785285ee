"""Every PromQL expression of the chart: those of the alerts, and those of the dashboard."""

import json
import re

from chart.helm import Manifest, of_kind, one, render

NAME = re.compile(r"(?<![\w:$\"])((?:podstream|process)_\w+)(\{[^}]*\})?")
BY = re.compile(r"\bby \(([^)]*)\)")
MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"")


def alerts() -> list[Manifest]:
    """The alerts as they reach Prometheus."""
    (found,) = of_kind(render("everything"), "PrometheusRule")
    (group,) = found["spec"]["groups"]
    rules: list[Manifest] = group["rules"]
    return rules


def dashboard() -> Manifest:
    """The dashboard as it reaches Grafana."""
    stored = one(render("everything"), "ConfigMap", "podstream-dashboard")
    found: Manifest = json.loads(stored["data"]["podstream.json"])
    return found


def panels() -> list[Manifest]:
    """Graphs and numbers of the dashboard, without headings."""
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def expressions() -> dict[str, str]:
    """Every expression by where it stands; Grafana's variables are filled in."""
    found = {f"alert {rule['alert']}": rule["expr"] for rule in alerts()}
    for panel in panels():
        for target in panel["targets"]:
            text = target["expr"].replace("$__rate_interval", "5m").replace("$namespace", "streams")
            found[f"panel {panel['title']}, {target['refId']}"] = text
    return found


def metrics_in(expression: str) -> dict[str, set[str]]:
    """Names of podstream's metrics in an expression, each with the labels that are matched on."""
    found: dict[str, set[str]] = {}
    for name, selector in NAME.findall(expression):
        found.setdefault(name, set()).update(MATCHER.findall(selector or ""))
    return found


def grouped_by(expression: str) -> set[str]:
    """Labels that an expression groups by."""
    return {
        label.strip() for group in BY.findall(expression) for label in group.split(",") if label
    }
