"""Writes the Grafana dashboard of the chart from the panels in `dashboard.yaml` beside this file.

`python tests/tools/dashboard.py` writes, `--check` only compares and exits 1 on a difference.
Grafana's model is long; what matters of it (title, unit, expressions, one sentence) is in the list.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

ROOT: Final = Path(__file__).resolve().parents[2]
SOURCE: Final = Path(__file__).with_name("dashboard.yaml")
TARGET: Final = ROOT / "helm" / "podstream" / "dashboards" / "podstream.json"

COLUMNS: Final = 24
HEIGHT: Final = 7
PLACEHOLDERS: Final = {"$NS": 'namespace="$namespace"', "$RATE": "$__rate_interval"}


class Panel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One graph or number."""

    title: str
    text: str
    """What it tells, and what to make of it."""
    queries: Mapping[str, str]
    """Expressions by their legends."""
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    stack: bool = False


class Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Panels under one heading."""

    row: str
    panels: list[Panel]


def load() -> list[Row]:
    """The rows as they are written down."""
    return msgspec.yaml.decode(SOURCE.read_bytes(), type=list[Row])


def _expression(text: str) -> str:
    for placeholder, meaning in PLACEHOLDERS.items():
        text = text.replace(placeholder, meaning)
    return text


def _panel(panel: Panel, *, number: int, x: int, y: int) -> dict[str, Any]:
    custom = {"stacking": {"mode": "normal"}, "fillOpacity": 30} if panel.stack else {}
    defaults: dict[str, Any] = {"unit": panel.unit, "min": 0}
    options: dict[str, Any]
    if panel.kind == "stat":
        options = {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "none"}
    else:
        defaults["custom"] = {"lineWidth": 1, "showPoints": "never", **custom}
        options = {"legend": {"displayMode": "list", "placement": "bottom"}}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.text,
        "datasource": {"type": "prometheus", "uid": "$datasource"},
        "gridPos": {"h": HEIGHT, "w": panel.width, "x": x, "y": y},
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
        "targets": [
            {"refId": chr(ord("A") + index), "expr": _expression(text), "legendFormat": legend}
            for index, (legend, text) in enumerate(panel.queries.items())
        ],
    }


def build() -> dict[str, Any]:
    """The dashboard as Grafana imports it."""
    panels: list[dict[str, Any]] = []
    y = 0
    for row in load():
        heading = {"h": 1, "w": COLUMNS, "x": 0, "y": y}
        panels.append({"id": len(panels) + 1, "type": "row", "title": row.row, "gridPos": heading})
        x, y = 0, y + 1
        for panel in row.panels:
            if x + panel.width > COLUMNS:
                x, y = 0, y + HEIGHT
            panels.append(_panel(panel, number=len(panels) + 1, x=x, y=y))
            x += panel.width
        y += HEIGHT
    return {
        "uid": "podstream",
        "title": "podstream",
        "tags": ["podstream"],
        "schemaVersion": 39,
        "editable": True,
        "graphTooltip": 1,
        "time": {"from": "now-3h", "to": "now"},
        "refresh": "30s",
        "templating": {
            "list": [
                {
                    "name": "datasource",
                    "label": "Data source",
                    "type": "datasource",
                    "query": "prometheus",
                },
                {
                    "name": "namespace",
                    "label": "Namespace of the release",
                    "type": "query",
                    "datasource": {"type": "prometheus", "uid": "$datasource"},
                    "query": "label_values(podstream_operator_leader, namespace)",
                    "refresh": 2,
                },
            ]
        },
        "panels": panels,
    }


def render() -> str:
    """The file's text."""
    return json.dumps(build(), indent=1, ensure_ascii=False) + "\n"


def main() -> int:
    """Write the dashboard, or compare with `--check`; exits 1 where it is out of date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    options = parser.parse_args()
    text = render()
    if options.check:
        if TARGET.is_file() and TARGET.read_text() == text:
            return 0
        print("the dashboard is out of date: run python tests/tools/dashboard.py")
        return 1
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
